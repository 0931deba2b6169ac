"""Which pages of a document are asked for: `1-50,80`, numbers of the document, in its order, each once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Self

import msgspec

_PART = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


class SelectionError(Exception):
    """The text names no pages. The message says why."""


class Selection(msgspec.Struct, frozen=True):
    """Spans of 1-based page numbers, sorted, apart from each other; none: all pages of a document."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Read `1-50,80`; spans may overlap and come in any order. Empty: all pages. Raises SelectionError."""
        spans: list[tuple[int, int]] = []
        for part in text.split(",") if text.strip() else []:
            match = _PART.fullmatch(part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not 1 <= first <= last:
                raise SelectionError(
                    f"{part.strip()!r} names no pages: write numbers from 1 and spans, such as 1-50,80"
                )
            spans.append((first, last))
        merged: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.spans)

    @property
    def highest(self) -> int:
        """The last page named; 0 where all are asked for."""
        return self.spans[-1][1] if self.spans else 0

    def count(self, document_pages: int) -> int:
        """How many pages are asked for, of a document that has so many."""
        return sum(last - first + 1 for first, last in self.spans) if self.spans else document_pages

    def page(self, ordinal: int) -> int:
        """The page that is `ordinal`th among those asked for, 0-based. Raises IndexError beyond the last."""
        if not self.spans:
            return ordinal + 1
        for first, last in self.spans:
            if ordinal <= last - first:
                return first + ordinal
            ordinal -= last - first + 1
        raise IndexError(ordinal)

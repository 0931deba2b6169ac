"""Page numbers in words: `page 4`, `pages 1–3 and 7`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPANS = re.compile(r"pages? [\d–, and]+", re.IGNORECASE)


def written(pages: Sequence[int]) -> str:
    """The pages, in order, with runs drawn together."""
    runs: list[tuple[int, int]] = []
    for page in sorted(set(pages)):
        if runs and runs[-1][1] == page - 1:
            runs[-1] = (runs[-1][0], page)
        else:
            runs.append((page, page))
    *most, last = [str(first) if first == end else f"{first}–{end}" for first, end in runs]
    several = len(runs) > 1 or runs[0][0] != runs[0][1]
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"pages {listed}" if several else f"page {listed}"


def are_all(text: str) -> bool:
    """Whether a text is page numbers in words, and nothing else."""
    return _SPANS.fullmatch(text) is not None

"""Citations in a text: `… . [p. 3]`, `… . [pp. 3, 7–9]`; statements parted from the pages that they name."""

from __future__ import annotations

import re

from shared.results import Cited

_CITATION = re.compile(r"\[(?:pp?|pages?|s|seiten?)\.?\s*(\d[\d\s,;–-]*)\](?P<stop>[.。]?)", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_MARK = re.compile(r"\A(?:[-*+•]\s+|\d{1,3}[.)]\s+)")
_WIDEST = 100  # pages of a range; a wider one is a slip, and is read as its two ends


def statements(line: str) -> tuple[list[Cited], str]:
    """The cited statements of a line, and what stands behind the last citation."""
    found = []
    start = 0
    line = _MARK.sub("", line.strip())
    for match in _CITATION.finditer(line):
        text = line[start : match.start()].strip()
        start = match.end()
        if text:
            stop = match["stop"] if text[-1] not in ".!?。" else ""
            found.append(Cited(text=text + stop, pages=pages(match[1])))
    return found, line[start:].strip()


def pages(numbers: str) -> list[int]:
    """The pages of a citation, in order: "3, 7–9" is 3, 7, 8, 9."""
    named: set[int] = set()
    for first, last in _RANGE.findall(numbers):
        low, high = int(first), int(last or first)
        named.update(range(low, high + 1) if 0 <= high - low <= _WIDEST else (low, high))
    return sorted(named)


def any_in(text: str) -> bool:
    """Whether the text cites anything."""
    return _CITATION.search(text) is not None

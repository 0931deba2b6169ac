"""What kind of page it is, from the kinds of its blocks and a few words."""

from __future__ import annotations

import re
from itertools import pairwise

from services.local_model import codelike
from services.local_model.blocks import Block, Kind, caption
from shared.results import PageKind

_INDEX = re.compile(r"\b(?:index|register|stichwortverzeichnis|sachverzeichnis|índice alfabético)\b", re.IGNORECASE)
_REFERENCES = re.compile(
    r"(?:appendix \w+\s+|[\d.]+\s+)?(?:references|bibliography|works cited|literatur\w*|bibliographie|bibliografía)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\(?\b(?:1[89]|20)\d\d[a-z]?\)?[.,]")
COVER_WORDS = 120
"""A first page with fewer words is a cover."""
_FIGURE_WORDS = 80


def kind_of(page: int, found: list[Block], sentences: int) -> PageKind:
    """`page`: its number in the document; `sentences`: how many full ones it has."""
    lines = [line for block in found for line in block.lines]
    entries = [line for block in found if block.kind is Kind.ENTRY for line in block.lines]
    titles = [block.lines[0] for block in found if block.kind is Kind.HEADING]
    words = sum(len(line.split()) for line in lines)
    if len(entries) >= 4 and len(entries) > 0.35 * len(lines):
        return "index" if any(map(_INDEX.search, titles)) or _alphabetical(entries) else "contents"
    years = sum(bool(_YEAR.search(line)) for line in lines)
    if any(map(_REFERENCES.fullmatch, titles)) and years >= max(3, 0.25 * len(lines)):
        return "references"
    if page <= 2 and words < COVER_WORDS and sentences <= 1:
        return "cover" if page == 1 else "text"
    rows = sum(len(block.lines) for block in found if block.kind is Kind.TABLE) + sum(map(codelike.is_data, lines))
    if rows > 0.6 * len(lines):
        return "table"
    if words < _FIGURE_WORDS and any(caption(line) == "figure" for line in lines):
        return "figure"
    return "text"


def _alphabetical(entries: list[str]) -> bool:
    """Whether the entries are in alphabetical order, as an index's are; those of a contents page are in page order."""
    initials = [next((letter for letter in entry if letter.isalpha()), "").casefold() for entry in entries]
    steps = list(pairwise(initials))
    in_order = sum(one <= other for one, other in steps)
    return in_order > 0.85 * len(steps) and len(set(initials)) > 2 and not entries[0].lstrip()[:1].isdigit()

"""Lines of a page, put together to blocks: headings, paragraphs, list items, preformatted text, tables, entries.

A text layer knows lines and nothing else, so every rule here is a guess from words, signs and line lengths; where
none is sure, lines become a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Literal

import msgspec

from services.local_model import codelike, headings, marks
from services.local_model.headings import LABEL, UNNUMBERED, Heading


class Kind(Enum):
    """What a block is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    CODE = "code"
    TABLE = "table"
    ENTRY = "entry"
    """A line of a table of contents or an index: a title and its page."""


class Block(msgspec.Struct, kw_only=True):
    """One block, its lines as they stood."""

    kind: Kind
    lines: list[str]
    level: int = 0
    """Of a heading, 1 is the outermost."""


_BULLET = re.compile(r"(?:[•◦▪‣●○■□–—*·\u2217⋆]|-|\(?[a-z0-9]{1,2}\)|\d{1,2}\.)\s+(?=\S)")
_NUMBER_ITEM = re.compile(r"(?P<number>\d{1,2})(?P<dot>\.?)\s+\S")
_LEADERS = re.compile(r"(?:(?:\s?\.){4,}|…{2,})\s*[\divxlc][\divxlc,\s–-]*$")
_ENTRY = re.compile(r"\S.{1,80}?,\s\d{1,4}(?:[–-]\d{1,4})?(?:,\s\d{1,4}(?:[–-]\d{1,4})?)*")
_ENDS_IN_PAGE = re.compile(r"\D\s(?:\d{1,4}|[ivxlc]{1,7})$")
_CAPTION = re.compile(
    r"(?:(?P<figure>figure|fig\.|abbildung|abb\.|figura)|table|tabelle|tab\.|tableau|tabla)"
    r"\s+[\dA-Z][\w.]*\s*[:.–—-]\s*\S",
    re.IGNORECASE,
)
_FOOTNOTE = re.compile(r"\d{1,2}")
_LONGEST = 300  # characters of a line that is looked at closely
_CELLS = re.compile(r"\t+| {2,}")
_TERMINAL = re.compile(rf"[:{marks.ENDS}][{marks.CLOSING}\]]*\d{{0,2}}$")


def build(lines: list[str]) -> list[Block]:
    """The page's blocks in order. Empty lines end a block."""
    width = _width(lines)
    siblings = _list_numbers(lines)
    tables = dict(_tables(lines))
    listing = sum(len(line) <= _LONGEST and bool(_LEADERS.search(line)) for line in lines) > 0.3 * len(lines)
    blocks: list[Block] = []
    place = 0
    fresh = True  # nothing to join the next line to
    while place < len(lines):
        line = lines[place].strip()
        if not line:
            fresh = True
            place += 1
            continue
        if place in tables:
            blocks.append(Block(kind=Kind.TABLE, lines=[row.strip() for row in lines[place : tables[place]]]))
            place = tables[place]
            fresh = True
            continue
        previous = None if fresh or not blocks else blocks[-1]
        following = next((rest.strip() for rest in lines[place + 1 :] if rest.strip()), "")
        if listing and len(line) <= _LONGEST and _ENDS_IN_PAGE.search(line):
            block: Block | None = Block(kind=Kind.ENTRY, lines=[line])
        else:
            block = _start(line, previous, following, width, siblings)
        if block is None and previous is not None:
            previous.lines.append(line)
        else:
            blocks.append(block or Block(kind=Kind.PARAGRAPH, lines=[line]))
        fresh = False
        place += 1
    return blocks


def _start(line: str, previous: Block | None, following: str, width: int, siblings: set[str]) -> Block | None:
    """The block that this line starts; None where it goes on with the previous one (or starts a paragraph)."""
    if len(line) > _LONGEST:
        return Block(kind=Kind.PARAGRAPH, lines=[line])
    if _LEADERS.search(line) or _ENTRY.fullmatch(line):
        return Block(kind=Kind.ENTRY, lines=[line])
    in_code = previous is not None and previous.kind is Kind.CODE
    if heading := _heading(line, previous, following, width, siblings):
        return Block(kind=Kind.HEADING, lines=[heading.text], level=heading.level)
    if _BULLET.match(line) and not (in_code and line.startswith("- ")):
        return Block(kind=Kind.ITEM, lines=[line])
    goes_on = previous is not None and _goes_on(previous, width)
    if codelike.is_command(line) or (not goes_on and codelike.is_code(line, after_code=in_code)):
        return None if in_code else Block(kind=Kind.CODE, lines=[line])
    if previous is None or previous.kind in (Kind.CODE, Kind.HEADING, Kind.ENTRY, Kind.TABLE):
        return Block(kind=Kind.PARAGRAPH, lines=[line])
    last = previous.lines[-1]
    if _FOOTNOTE.fullmatch(line) or caption(line) or (caption(last) and len(last) < 0.85 * width):
        return Block(kind=Kind.PARAGRAPH, lines=[line])
    begins = line[0].isupper() or line[0] in marks.OPENING + "["
    if _TERMINAL.search(last) and begins and len(last) < 0.85 * width:
        return Block(kind=Kind.PARAGRAPH, lines=[line])
    return None


def _heading(line: str, previous: Block | None, following: str, width: int, siblings: set[str]) -> Heading | None:
    if heading := headings.front(line):
        return heading if previous is None else Heading(UNNUMBERED, heading.text)
    if previous is None and headings.is_apparatus(line) and headings.title_like(line):
        return Heading(1, line)
    if heading := headings.numbered(line):
        if heading.level > 1 or not line[0].isdigit():
            return heading
        return None if line in siblings or len(line) > 0.8 * width else heading
    ended = (
        previous is None
        or previous.kind is Kind.HEADING
        or previous.kind is Kind.CODE
        or (previous.kind in (Kind.PARAGRAPH, Kind.ITEM) and _TERMINAL.search(previous.lines[-1]) is not None)
    )
    if ended and following and headings.is_label(line) and len(line) < 0.4 * width:
        return Heading(LABEL, line)
    goes_on = (
        bool(following) and (following[0].isupper() or following[0] in marks.OPENING) and len(following) > 0.5 * width
    )
    if previous is not None and previous.kind is Kind.CODE:
        goes_on = goes_on and codelike.reads_as_prose(following)
    if ended and goes_on and headings.title_like(line) and not headings.title_like(following):
        return Heading(UNNUMBERED, line)
    return None


def _goes_on(block: Block, width: int) -> bool:
    """Whether prose breaks off at the end of a full line, so that the next line is prose too."""
    last = block.lines[-1]
    prose = block.kind in (Kind.PARAGRAPH, Kind.ITEM)
    return prose and len(last) >= 0.85 * width and last[-1] not in ".:;?!" and codelike.reads_as_prose(last)


def _list_numbers(lines: list[str]) -> set[str]:
    """Lines that number a list or a listing: two in a row with a full stop (`1. Open`, `2. Start`), three without."""
    found: set[str] = set()
    for dot, least in ((".", 2), ("", 3)):
        numbers = {
            int(match["number"]): line.strip()
            for line in lines
            if (match := _NUMBER_ITEM.match(line.strip())) and match["dot"] == dot
        }
        for number in numbers:
            row = [numbers[one] for one in range(number, number + least) if one in numbers]
            if len(row) == least:
                found.update(row)
    return found


def _tables(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where tables start and end: three or more lines in a row with the same number of cells, two or more."""
    start, cells = 0, 0
    for place, line in enumerate([*lines, ""]):
        count = len(_CELLS.split(line.strip())) if line.strip() else 0
        if count != cells or count < 2:
            if cells >= 2 and place - start >= 3:
                yield start, place
            start, cells = place, count


def caption(line: str) -> Literal["figure", "table"] | None:
    """What a line is the caption of, None where it is none."""
    match = _CAPTION.match(line)
    if match is None:
        return None
    return "figure" if match["figure"] else "table"


def cells(line: str) -> list[str]:
    """The cells of a table's line."""
    return [cell.strip() for cell in _CELLS.split(line.strip())]


def _width(lines: list[str]) -> int:
    """The usual length of a full line: the upper quartile of those that are not short."""
    lengths = sorted(len(line.strip()) for line in lines if len(line.strip()) > 20)
    return lengths[len(lengths) * 3 // 4] if lengths else 60

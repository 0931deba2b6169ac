"""Page furniture: running heads and page numbers, told from the text by their place and their look.

Only what is evident on the page itself is taken away; a running head that could be a heading or a sentence stays.
"""

from __future__ import annotations

import re

import msgspec

from services.local_model.headings import numbered

_FOLIO = re.compile(
    r"(?:[-–—|]\s*)?(?:page|seite|página|pagina|p\.)?\s*(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von|sur|de|di)\s*\d{1,4})?"
    r"(?:\s*[-–—|])?",
    re.IGNORECASE,
)
_NUMBER = r"(?P<number>\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von|sur|de)\s*\d{1,4})?"
_AT_END = re.compile(rf"(?P<text>\S.*?)\s*[|·–—]?\s+{_NUMBER}$")
_AT_START = re.compile(rf"{_NUMBER}\s*[|·–—]?\s+(?P<text>[^\W\d_].*)$")
_CHAPTER = re.compile(
    r"(?:chapter|kapitel|chapitre|capítulo|capitolo|hoofdstuk|section|abschnitt|appendix|anhang|annexe|part|teil)\s+"
    r"(?:\d{1,3}|[A-Z]|[IVX]{1,5})\s*[.:–—-]\s*\S",
    re.IGNORECASE,
)
_CHAPTER_ALONE = re.compile(
    r"(?:chapter|kapitel|chapitre|capítulo|capitolo|hoofdstuk|part|teil)\s+\w{1,5}", re.IGNORECASE
)
_LONGEST = 90  # characters of a running head


class Stripped(msgspec.Struct, frozen=True, kw_only=True):
    """A page's lines without its furniture, and what the running heads said (without page numbers)."""

    lines: list[str]
    heads: list[str]


def strip(lines: list[str], page: int) -> Stripped:
    """Take running heads and page numbers off the top and the bottom. `page`: the page's number in the document."""
    rest = _without_blank_ends(lines)
    heads: list[str] = []
    for place in (0, -1):
        for _ in range(2):  # a head may stand in two lines: the page number, then the title
            if not rest:
                break
            line = rest[place].strip()
            if _FOLIO.fullmatch(line):
                del rest[place]
            elif (head := _head(line, rest, place, page)) is not None:
                heads.append(head)
                del rest[place]
            else:
                break
            rest = _without_blank_ends(rest)
    return Stripped(lines=rest, heads=heads)


def _head(line: str, lines: list[str], place: int, page: int) -> str | None:
    """The text of a running head, None if the line is none."""
    if len(line) > _LONGEST or len(lines) < 3 or _CHAPTER_ALONE.fullmatch(line):
        return None
    match = _AT_END.fullmatch(line) or _AT_START.fullmatch(line)
    if match and _could_be_folio(match["number"], page) and _is_label(match["text"]):
        if match["text"][0].islower() and (place or not match["number"].isdigit() or int(match["number"]) < 13):
            return None  # one small word with a number: a dictionary's head, but as likely `exit 1`
        if match.re is _AT_END or _CHAPTER.match(match["text"]) or _is_left_page(match["number"]):
            return match["text"].strip()
    if place == 0 and _CHAPTER.match(line) and not line.endswith(".") and _is_label(line):
        return line
    return None


def _could_be_folio(number: str, page: int) -> bool:
    """A printed number lags behind the page's number by the front matter, and is hardly ever ahead of it."""
    if not number.isdigit():
        return page < 60
    return -2 <= page - int(number) <= 60


def _is_left_page(number: str) -> bool:
    """Whether a number before a title is a page's, not the title's: left pages are even, chapters are few."""
    return not number.isdigit() or (int(number) % 2 == 0 and int(number) > 12)


def _is_label(text: str) -> bool:
    """Whether a text can be a title: a few words that begin large and don't end as a sentence or an entry does."""
    words = text.split()
    if numbered(text) is None and any(map(str.isdigit, text)):
        return False  # a row of figures, a sentence's end
    begins = text[0].isupper() or text[0].isdigit() or len(words) == 1
    return (
        begins
        and len(words) <= 12
        and not text.endswith((".", ",", ";", ":", "!", "?", "…", "("))
        and ". ." not in text
    )


def _without_blank_ends(lines: list[str]) -> list[str]:
    rest = list(lines)
    while rest and not rest[0].strip():
        del rest[0]
    while rest and not rest[-1].strip():
        del rest[-1]
    return rest

"""Headings, told from their numbers and their looks; and the path of headings that a place in the text has."""

from __future__ import annotations

import re
import string

import msgspec

from services.local_model import marks
from services.local_model.languages import ALL_STOP_WORDS, listed

_NUMBERED = re.compile(r"(?P<number>\d{1,2}(?:\.\d{1,3}){0,4}|[A-Z](?:\.\d{1,3}){1,4})\.?\s+(?P<title>\S.*)")
_CHAPTER = re.compile(
    r"(?P<word>chapter|kapitel|chapitre|capítulo|capitolo|hoofdstuk|appendix|anhang|annexe|part|teil|partie|parte)"
    r"\s+(?P<number>\d{1,3}|[A-Z]|[IVX]{1,5})(?:\s*[.:–—-])?(?:\s+(?P<title>\S.*))?",
    re.IGNORECASE,
)
_PARTS = frozenset({"part", "teil", "partie", "parte"})
_APPENDICES = frozenset({"appendix", "anhang", "annexe"})
_FRONT = listed(
    """
    abstract acknowledgements acknowledgments appendix bibliography conclusion conclusions contents foreword glossary
    index introduction preface references summary vorwort einleitung inhalt inhaltsverzeichnis literatur
    literaturverzeichnis zusammenfassung anhang glossar résumé préface bibliographie sommaire índice resumen prefacio
    introducción conclusiones bibliografía
    """
)
_CODE_MARKS = re.compile(r"[=<>{}$\\@~|_]|::|\(\)|->|https?:|\w\(\w")
_END = (".", ",", ";", ":", "!", "…", "(", "-", "–")
_APPARATUS = re.compile(
    r"(?:\bcontents|\bindex|\breferences|\bbibliography|\bworks cited|list of (?:figures|tables)|inhalt"
    r"|inhaltsverzeichnis|literatur\w*|stichwortverzeichnis|table des matières|bibliographie|sommaire"
    r"|índice(?: \w+)?|bibliografía|acknowledge?ments?|licen[sc]es?|\bcopying(?: information)?"
    r"|danksagung|remerciements|agradecimientos)$",
    re.IGNORECASE,
)
_SECTION_BEHIND = re.compile(r"\s+(?=\d{1,2}\.\d{1,2}\.?\s)")
_CHAPTER_NUMBER = re.compile(r"(\d{1,3})[\s.]")
_MOST_SKIPPED = 3  # chapters whose beginning was not seen
_PUNCTUATION = re.compile(r"[\s.:–—-]+")
_MOST_WORDS = 12
_LONGEST = 80  # characters


UNNUMBERED = 0
LABEL = 6
"""Level of a word that names the lines below it, such as `Note`: a heading to look at, but no place in the document."""


class Heading(msgspec.Struct, frozen=True):
    """A heading and its level: 1 is the outermost, UNNUMBERED until its page settles it."""

    level: int
    text: str


def numbered(line: str) -> Heading | None:
    """`5.7 Matrix facilities`, `Appendix B Invoking R`, `Chapter 3: Objects`; None for any other line."""
    line = line.strip()
    if len(line) > _LONGEST:
        return None
    if match := _CHAPTER.fullmatch(line):
        title = match["title"] or ""
        if title and not _is_title(title):
            return None
        if not title:
            return Heading(1, line.rstrip(".:")) if line[0].isupper() and not line.endswith(".") else None
        word = match["word"].casefold()
        named = word in _PARTS | _APPENDICES or not match["number"].isdigit()
        label = f"{match['word'].title()} {match['number']}" if named else match["number"]
        return Heading(1, label + (" " if label.isdigit() else ": ") + title)
    match = _NUMBERED.fullmatch(line)
    if match is None or match["number"].startswith("0") or not _is_title(match["title"]):
        return None
    level = match["number"].count(".") + 1
    words = match["title"].split()
    if level == 1 and (breaks_off(line) or words[0].endswith(":") or any(map(str.isdigit, words))):
        return None  # more likely an item of a list, or figures
    return Heading(level, f"{match['number']} {match['title']}")


def with_titles(lines: list[str]) -> list[str]:
    """The lines, with `Chapter 1` and a title on the line below it put together."""
    together: list[str] = []
    for line in lines:
        text = line.strip()
        match = _CHAPTER.fullmatch(together[-1].strip()) if together else None
        title = (match["title"] or "") if match else ""
        wanted = match is not None and (not title or breaks_off(title))
        fits = _is_title(text[0].upper() + text[1:]) if text else False
        if match and wanted and fits and not numbered(text):
            together[-1] = f"{match['word']} {match['number']}: {title} {text}".replace(":  ", ": ")
        else:
            together.append(line)
    return together


def front(line: str) -> Heading | None:
    """`Preface`, `References`: titles that stand for themselves."""
    text = line.strip()
    return Heading(1, text) if text.casefold() in _FRONT and text[0].isupper() else None


def title_like(line: str) -> bool:
    """Whether a line without a number looks like a title. Its surroundings have to agree."""
    text = line.strip()
    words = text.split()
    if words[0].endswith(":") or not _is_title(text) or len(words) > 9 or len(text) > 60 or any(map(str.isdigit, text)):
        return False
    return any(len(word) > 3 and word.isalpha() for word in words)


def is_label(line: str) -> bool:
    """Whether a line is one word that names what follows: `Details`, `Arguments`."""
    text = line.strip()
    return text.isalpha() and len(text) > 2 and text[0].isupper() and text[1:].islower()


def _is_title(text: str) -> bool:
    words = text.split()
    if len(words) > _MOST_WORDS or text.endswith(_END) or ". ." in text or _CODE_MARKS.search(text):
        return False
    wide = text[0].isalpha() and not text[0].islower()  # Chinese knows no capitals
    if not (wide or text[0] in marks.QUOTES or words[0].endswith("()")):
        return False
    letters = sum(map(str.isalpha, text))
    return letters >= 3 and letters + text.count(" ") >= 0.75 * len(text)


def of_running_head(text: str) -> Heading:
    """The heading that a running head repeats. One without a number is the outermost: often the document's title.

    Running heads are often set in capitals; those are written small again.
    """
    text = _SECTION_BEHIND.split(text)[0]
    heading = numbered(text) or Heading(UNNUMBERED, text)
    return Heading(heading.level, string.capwords(heading.text) if heading.text.isupper() else heading.text)


def follows(heading: str, running: str) -> bool:
    """Whether a chapter can begin under this running head: a number that goes back is a list's or a note's."""
    own, before = _CHAPTER_NUMBER.match(heading), _CHAPTER_NUMBER.match(running)
    return own is None or before is None or int(before[1]) <= int(own[1]) <= int(before[1]) + _MOST_SKIPPED


def is_apparatus(text: str) -> bool:
    """Whether a heading is of a part that leads through the document rather than says something: contents, index."""
    return _APPARATUS.search(text) is not None


def breaks_off(line: str) -> bool:
    """Whether a title's line ends in a word that no title ends in: `R: A Language and Environment for`."""
    return line.split()[-1].casefold() in ALL_STOP_WORDS


def same(one: str, other: str) -> bool:
    """Whether two headings are one, whatever their capitals and dots: `2.5. LOOPS` and `2.5 Loops`."""
    return _PUNCTUATION.sub("", one).casefold() == _PUNCTUATION.sub("", other).casefold()


def path(running: list[Heading], found: list[Heading]) -> list[str]:
    """The headings that the page's end lies under, outermost first. `running`: what the running heads say."""
    stack: list[Heading] = []
    for heading in [*running, *found]:
        if heading.level == LABEL:
            continue
        while stack and stack[-1].level >= heading.level:
            stack.pop()
        stack.append(heading)
    return [heading.text for heading in stack]

"""Checks what models cite: every statement names pages that were really read. Pure.

A page that was not read is repaired where it is evident what was meant, else dropped; a statement without pages is
dropped, unless nothing else is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.results import Cited, DocumentSummary, Section

_NUMBERS = r"\d{1,6}(?:\s*(?:[,;–-]|and|&)\s*\d{1,6})*\b"
_MARK = re.compile(rf"\s*\[\s*(?:pp?\.?|pages?)\s*({_NUMBERS})\s*\]", re.IGNORECASE)
_MENTION = re.compile(rf"\b(?:pp?\.|pages?)\s*({_NUMBERS})", re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,6})(?:\s*[–-]\s*(\d{1,6}))?")
_LONGEST_SPAN = 50  # pages; "1-1000" cites nothing


def batch(statements: Sequence[Cited], *, pages: Sequence[int], read: Sequence[int]) -> list[Cited]:
    """A batch's statements. `pages`: its page numbers in order, `read`: those that were analysed."""
    meant = _by_position(statements, pages, set(read))
    kept = [_cited(each, set(read)) for each in meant if each.text.strip()]
    with_pages = [each for each in kept if each.pages]
    return with_pages or [Cited(text=each.text, pages=sorted(read)) for each in kept]


def document(made: DocumentSummary, *, read: Sequence[int], said: Sequence[int]) -> DocumentSummary:
    """The document's summary. `read`: pages that were analysed, `said`: those that the batches' statements cite."""
    known = set(read)
    sections = [_section(each, known) for each in made.sections if each.text.strip()]
    points = [_cited(each, known) for each in made.key_points if each.text.strip()]
    kept_sections = [each for each in sections if each.pages]
    kept_points = [each for each in points if each.pages]
    if not kept_sections and not kept_points:
        kept_sections = [Section(heading=each.heading, text=each.text, pages=sorted(said)) for each in sections]
    abstract = _cited(Cited(text=made.abstract, pages=made.abstract_pages), known)
    below = {page for section in kept_sections for page in section.pages}
    below |= {page for point in kept_points for page in point.pages}
    title = _cited(Cited(text=made.title, pages=made.title_pages), known)
    return DocumentSummary(
        title=title.text,
        title_pages=title.pages or [min(read)],
        abstract=abstract.text,
        abstract_pages=abstract.pages or sorted(below or said),
        sections=kept_sections,
        key_points=kept_points,
    )


def _by_position(statements: Sequence[Cited], pages: Sequence[int], read: set[int]) -> Sequence[Cited]:
    """Where no statement cites a page that was read, and all cite 1 to the batch's size: they counted from 1."""
    cited = {page for each in statements for page in each.pages}
    if not cited or cited & read or not cited <= set(range(1, len(pages) + 1)):
        return statements
    return [Cited(text=each.text, pages=[pages[page - 1] for page in each.pages]) for each in statements]


def _section(made: Section, read: set[int]) -> Section:
    checked = _cited(Cited(text=made.text, pages=made.pages), read)
    return Section(heading=made.heading.strip(), text=checked.text, pages=checked.pages)


def _cited(made: Cited, read: set[int]) -> Cited:
    """Without marks such as [p. 3] in its text; where none of its pages was read, with those that the text names."""
    text = _MARK.sub("", made.text).strip()
    pages = read.intersection(made.pages)
    if not pages:
        named = [*_MARK.findall(made.text), *_MENTION.findall(text)]
        pages = read & set[int]().union(*map(_span_pages, named))
    return Cited(text=text, pages=sorted(pages))


def _span_pages(numbers: str) -> set[int]:
    """ "3, 5-7" is {3, 5, 6, 7}."""
    found = ((int(first), int(last or first)) for first, last in _SPAN.findall(numbers))
    return {page for first, last in found if last - first < _LONGEST_SPAN for page in range(first, last + 1)}

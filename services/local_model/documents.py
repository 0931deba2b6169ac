"""The summary of a document from its batches' statements: sorted out, not written anew, with every page kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import sqrt

import msgspec

from services.local_model import citing, headings, marks, passages, picking, spans
from services.local_model.chapters import plain
from services.local_model.passages import Passage
from services.local_model.sectioning import Group, groups
from services.local_model.sources import tells_unread, unread
from services.local_model.summarizing import RUN_IN, introduces, subject_of
from services.local_model.worth import worth
from shared.results import Cited, DocumentSummary, Section

UNTITLED = "Untitled document"

_ABSTRACT = 4  # sentences, fewer where the document is short
_KEY_POINTS = 7
_SECTION = 4  # statements of a section
_FEW = 3  # sections of a short summary, which lacks none, even if it says what the abstract says
_ENOUGH = 2  # with fewer, a section repeats key points
_WHOLE_PARTS = 50  # batches, 1250 pages: the statements of so many fit into the aggregator's prompt
_AS_CHOSEN = 0.05
_EARLY = 0.05  # of the pages, and three of them at least: where a document says what it is
_IS_EARLY = 2.0
_SAME_PAGE_OPENS = 0.75  # an introduction may well give two sentences of a page

_RUN_IN = re.compile(rf"(?P<name>\S(?:[^.!?]|[.!?](?=\S)){{1,80}}?){RUN_IN}(?=[{marks.OPENING}]?[^\W\d_])")
_LABEL = re.compile(r"\A(?:#{1,6}\s+|(?:\*\*)?title(?:\*\*)?:(?:\*\*)?\s*)", re.IGNORECASE)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as the document's prompt tells it."""

    first: int
    last: int
    title: str
    statements: list[Passage]


def document(sections: Sequence[tuple[int, int, str]]) -> DocumentSummary:
    """Summarise a document. `sections`: (first page, last page, text) of each batch, in order: title, cited statements.

    A first section without citations is the beginning of the document's first page.
    """
    opener = sections[0] if sections and not citing.any_in(sections[0][2]) else None
    parts = [_part(*section) for section in sections[1 if opener and len(sections) > 1 else 0 :]]
    title, title_page = _title(opener, parts)
    everything = [passage for part in parts for passage in part.statements if not tells_unread(passage.text)]
    missing = {page for part in parts for each in part.statements if tells_unread(each.text) for page in each.pages}
    weights = passages.scores(everything)

    count = min(_ABSTRACT, max(1, len(everything) // 3))
    opening = _openings(everything, weights, subject_of(title))
    abstract = picking.choose(everything, opening, count, same_page=_SAME_PAGE_OPENS)
    left = [0.0 if place in abstract else weight for place, weight in enumerate(weights)]
    said = [everything[place] for place in abstract]
    points = picking.choose(everything, left, min(_KEY_POINTS, len(everything) // 4), besides=said)
    key_points = [_cited(everything[place]) for place in points]
    if missing:
        key_points.append(unread(sorted(missing)))
    if missing and not said:
        return _nothing_read(title, title_page, sorted(missing))
    return DocumentSummary(
        title=title,
        title_pages=[title_page] if title_page else [],
        abstract=" ".join(passage.text for passage in said),
        abstract_pages=_pages(said),
        sections=_sections(groups(_named(parts)), everything, weights, {*abstract, *points}, abstract),
        key_points=key_points,
    )


def _nothing_read(title: str, title_page: int, missing: list[int]) -> DocumentSummary:
    told = unread(missing)
    return DocumentSummary(
        title=title,
        title_pages=[title_page] if title_page else [],
        abstract=told.text,
        abstract_pages=told.pages,
        sections=[],
        key_points=[],
    )


def _part(first: int, last: int, text: str) -> Part:
    """Read a batch: its first line without a citation is its title."""
    title = ""
    found: list[Passage] = []
    under = ""
    for line in text.split("\n"):
        cited, rest = citing.statements(line)
        if not cited and not title and not found:
            title = _LABEL.sub("", rest).strip("* ")
        for statement in cited:
            said = statement.text
            opens = False
            if (match := _RUN_IN.match(said)) and not said[match.end() :][:1].islower():
                under, said, opens = match["name"], said[match.end() :], True
            # The batch's model chose it, so it is shown even where it would not have been chosen here.
            value = max(_AS_CHOSEN, worth(said))
            found.append(Passage(text=said, pages=tuple(statement.pages), heading=under, opens=opens, worth=value))
    return Part(first=first, last=last, title=title, statements=found)


def _title(opener: tuple[int, int, str] | None, parts: Sequence[Part]) -> tuple[str, int]:
    """The document's title and its page: the first heading of the opening page, else what the first batch is called.

    Page 0, which is none, where it has no title of its own.
    """
    if opener:
        found = [heading for heading, _ in passages.of_markdown(opener[2]) if heading]
        for heading in sorted(found, key=lambda one: one.level):
            if not headings.is_apparatus(heading.text):
                return plain(heading.text), opener[0]
    part = next((part for part in parts if part.title and not spans.are_all(part.title)), None)
    return (part.title, part.first) if part else (UNTITLED, 0)


def _named(parts: Sequence[Part]) -> list[tuple[str, list[Passage]]]:
    """The statements of each batch under its name; of a very long document without their chapters.

    Its batches' statements do not all fit into the prompt; a chapter's first one, which names it, may be missing.
    """
    named = []
    for part in parts:
        told = [each for each in part.statements if not tells_unread(each.text)]
        if len(parts) > _WHOLE_PARTS:
            told = [msgspec.structs.replace(each, heading="") for each in told]
        named.append((part.title or spans.written(range(part.first, part.last + 1)).capitalize(), told))
    return named


def _openings(found: Sequence[Passage], weights: Sequence[float], subject: frozenset[str]) -> list[float]:
    """The weights of the statements as sentences that tell what the document is.

    Their rank counts by its root: what a document is stands in a few sentences, and they share few words with the rest.
    """
    if not found:
        return []
    first = min(passage.pages[0] for passage in found)
    until = first + max(3, _EARLY * (max(passage.pages[-1] for passage in found) - first))
    return [
        sqrt(weight)
        * (_IS_EARLY if passage.pages[0] <= until else 1)
        * (introduces(passage.text, subject) if passage.pages[0] <= until else 1)
        for weight, passage in zip(weights, found, strict=True)
    ]


def _sections(
    sorted_out: Sequence[Group],
    everything: Sequence[Passage],
    weights: Sequence[float],
    used: Collection[int],
    opening: Collection[int],
) -> list[Section]:
    """A section for each group, of statements that are not said elsewhere, as far as there are any."""
    sections = []
    place = 0
    for group in sorted_out:
        places = range(place, place + len(group.statements))
        place = places.stop
        own = [0.0 if one in used else weights[one] for one in places]
        if sum(weight > 0 for weight in own) < min(_ENOUGH, len(own)):
            own = [0.0 if one in opening else weights[one] for one in places]
        if not any(own) and len(sorted_out) <= _FEW:
            own = [weights[one] for one in places]
        members = [everything[one] for one in places]
        chosen = [members[one] for one in picking.choose(members, own, _SECTION)]
        if chosen:
            text = " ".join(passage.text for passage in chosen)
            sections.append(Section(heading=group.heading, text=text, pages=_pages(chosen)))
    return sections


def _pages(found: Sequence[Passage]) -> list[int]:
    return sorted({page for passage in found for page in passage.pages})


def _cited(passage: Passage) -> Cited:
    return Cited(text=passage.text, pages=list(passage.pages))

"""The summary of a document from its batches' statements: sorted out, not written anew, with every page kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import sqrt

import msgspec

from services.local_model import citing, passages, picking
from services.local_model.chapters import TITLE_MARK
from services.local_model.passages import Passage
from services.local_model.sectioning import Group, groups
from services.local_model.summarizing import RUN_IN, introduces, subject_of
from services.local_model.worth import worth
from shared.results import Cited, DocumentSummary, Section

_ABSTRACT = 4  # sentences, fewer where the document is short
_KEY_POINTS = 7
_SECTION = 4  # statements of a section
_ENOUGH = 2  # with fewer, a section repeats key points
_EARLY = 0.05  # of the pages, and three of them at least: where a document says what it is
_IS_EARLY = 2.0
_SAME_PAGE_OPENS = 0.75  # an introduction may well give two sentences of a page

_RUN_IN = re.compile(rf"(?P<name>\S[^.!?]{{1,80}}?){RUN_IN}(?=[\"“‘'«„(]?[^\W\d_])")
_LABEL = re.compile(r"\A(?:#{1,6}\s+|(?:\*\*)?title(?:\*\*)?:(?:\*\*)?\s*)", re.IGNORECASE)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as the document's prompt tells it."""

    first: int
    last: int
    title: str
    statements: list[Passage]


def document(sections: Sequence[tuple[int, int, str]]) -> DocumentSummary:
    """Summarise a document. `sections`: (first page, last page, title and cited statements) of each batch, in order."""
    parts = [_part(first, last, text) for first, last, text in sections]
    title, rest = _title(parts[0].title) if parts else ("", "")
    everything = [passage for part in parts for passage in part.statements]
    weights = passages.scores(everything)
    names = [rest or title, *(part.title for part in parts[1:])]
    sorted_out = groups([(name, part.statements) for name, part in zip(names, parts, strict=True)])

    opening = _openings(everything, weights, subject_of(title))
    count = min(_ABSTRACT, max(1, len(everything) // 3))
    abstract = picking.choose(everything, opening, count, same_page=_SAME_PAGE_OPENS)
    left = [0.0 if place in abstract else weight for place, weight in enumerate(weights)]
    said = [everything[place] for place in abstract]
    points = picking.choose(everything, left, min(_KEY_POINTS, len(everything) // 4), besides=said)
    return DocumentSummary(
        title=title,
        title_pages=[parts[0].first] if parts else [],
        abstract=" ".join(passage.text for passage in said),
        abstract_pages=_pages(said),
        sections=_sections(sorted_out, everything, weights, {*abstract, *points}, abstract),
        key_points=[_cited(everything[place]) for place in points],
    )


def _part(first: int, last: int, text: str) -> Part:
    """Read a batch: its first line without a citation is its title."""
    title = ""
    found: list[Passage] = []
    under = ""
    for line in text.split("\n"):
        cited, rest = citing.statements(line)
        if not cited and not title:
            title = _LABEL.sub("", rest).strip("* ")
        if not cited and first == last and title and worth(rest):
            cited = [Cited(text=rest, pages=[first])]  # one page: it can only be that
        for statement in cited:
            said = statement.text
            opens = False
            if (match := _RUN_IN.match(said)) and not said[match.end() :][:1].islower():
                under, said, opens = match["name"], said[match.end() :], True
            # The batch's model chose it, so it is shown even where it would not have been chosen here.
            value = max(0.05, worth(said))
            found.append(Passage(text=said, pages=tuple(statement.pages), heading=under, opens=opens, worth=value))
    return Part(first=first, last=last, title=title, statements=found)


def _title(first: str) -> tuple[str, str]:
    """The document's title, and what its first batch is called without it."""
    title, mark, rest = first.partition(TITLE_MARK)
    return (title, rest) if mark else (first, "")


def _openings(found: Sequence[Passage], weights: Sequence[float], subject: Collection[str]) -> list[float]:
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
    sorted_out: Sequence[Group], everything: Sequence[Passage], weights: Sequence[float], used: Collection[int], opening: Collection[int]
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

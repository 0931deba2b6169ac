"""Every statement names pages that were really read."""

from __future__ import annotations

import pytest

from services.aggregator import citations
from shared.results import Cited, DocumentSummary, Section

PAGES = list(range(26, 51))
READ = [page for page in PAGES if page not in (30, 31)]


def checked(*statements: tuple[str, list[int]], read: list[int] = READ) -> list[tuple[str, list[int]]]:
    made = [Cited(text=text, pages=pages) for text, pages in statements]
    return [(each.text, each.pages) for each in citations.batch(made, pages=PAGES, read=read)]


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        # as they are, in order and once
        ([("a", [27])], [("a", [27])]),
        ([("a", [40, 27, 40])], [("a", [27, 40])]),
        # pages that don't exist, or were not read, are dropped
        ([("a", [27, 99])], [("a", [27])]),
        ([("a", [30, 32])], [("a", [32])]),
        # a statement without pages is dropped, unless nothing else is left
        ([("a", [27]), ("b", [99]), ("c", [])], [("a", [27])]),
        ([("a", [99])], [("a", READ)]),
        ([("a", []), ("b", [30])], [("a", READ), ("b", READ)]),
        ([("  ", [27])], []),
        ([], []),
        # the text tells
        ([("a [p. 33]", [])], [("a", [33])]),
        ([("a [pp. 33, 35-36]", [99])], [("a", [33, 35, 36])]),
        ([("a [p. 33]", [40])], [("a", [40])]),
        ([("As page 33 says, a", []), ("b", [27])], [("As page 33 says, a", [33]), ("b", [27])]),
        ([("See pages 33 and 99", [99])], [("See pages 33 and 99", [33])]),
        ([("pages 1-99999", [99]), ("b", [27])], [("b", [27])]),
        ([("page " + "9" * 5000, [99]), ("b", [27])], [("b", [27])]),
        # counted from the batch's start
        ([("a", [1]), ("b", [2, 3])], [("a", [26]), ("b", [27, 28])]),
        ([("a", [5]), ("b", [7])], [("b", [32])]),  # the fifth is a gap
        ([("a", [1]), ("b", [40])], [("b", [40])]),  # not evident
    ],
)
def test_citations_are_kept_repaired_or_dropped(
    made: list[tuple[str, list[int]]], kept: list[tuple[str, list[int]]]
) -> None:
    assert checked(*made) == kept


def summary(**changes: object) -> DocumentSummary:
    fields: dict[str, object] = {
        "title": "Mills",
        "title_pages": [1],
        "abstract": "About mills.",
        "abstract_pages": [1, 2],
        "sections": [Section(heading="Water", text="Water mills.", pages=[2])],
        "key_points": [Cited(text="1840.", pages=[3])],
    }
    return DocumentSummary(**{**fields, **changes})  # type: ignore[arg-type]


def document(**changes: object) -> DocumentSummary:
    return citations.document(summary(**changes), read=[1, 2, 3, 60], said=[2, 3, 60])


def test_a_right_summary_stays_as_it_is() -> None:
    assert document() == summary()


def test_sections_and_key_points_without_pages_are_dropped_where_others_are_left() -> None:
    sections = [Section(heading="Wind", text="Wind mills.", pages=[50]), *summary().sections]
    made = document(sections=sections, key_points=[Cited(text="1850.", pages=[])])
    assert [section.heading for section in made.sections] == ["Water"]
    assert made.key_points == []


def test_where_nothing_is_left_the_sections_cite_what_the_batches_cite() -> None:
    made = document(sections=[Section(heading="Wind", text="Wind mills.", pages=[50])], key_points=[])
    assert [section.pages for section in made.sections] == [[2, 3, 60]]


def test_title_and_abstract_always_cite() -> None:
    made = document(title_pages=[50], abstract_pages=[])
    assert made.title_pages == [1]
    assert made.abstract_pages == [2, 3]


def test_marks_are_taken_out_of_texts_and_used_where_the_fields_are_empty() -> None:
    sections = [Section(heading="Water", text="Water mills [p. 60]. And more [pp. 2–3].", pages=[])]
    (section,) = document(sections=sections).sections
    assert (section.text, section.pages) == ("Water mills. And more.", [2, 3, 60])

"""How the built-in model summarises batches and documents: by choosing sentences, with their pages."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest

from services.aggregator import prompts
from services.local_model import citing, documents, passages, picking, reading, spans, summarizing, textrank
from services.local_model.passages import Passage
from services.local_model.sources import NO_TEXT, tells_unread
from services.local_model.worth import worth
from shared import markup
from shared.results import BatchSummary, Cited, PageAnalysis

COVER = "The Harbour Handbook\nA Guide for Pilots\nThird edition\nHarbour Office of Kiel"
PAGES = {
    1: COVER,
    2: "Copyright © 1999 Harbour Office.\nPermission is granted to make and distribute verbatim copies of this book.",
    3: """1
1 Tides
1.1 Where tides come from
This handbook describes the tides, the lights and the signals of the harbour for everyone who steers a ship there.
Tides are the regular rise and fall of the water, and they follow the moon through the harbour every day.
They return about fifty minutes later each day.
The tide tables of the harbour are printed every year by the harbour office.""",
    4: """Chapter 1: Tides 2
A spring tide is a tide of great range that occurs near every new and full moon in the harbour.
See Section 1.1 [Where tides come from], page 1, for the reasons of the tides in the harbour.
> tide(kiel)
The pilot should read the tide tables before a ship enters the harbour at low water.""",
    5: """3
2 Lights
A light of the harbour is a lamp on a tower that shows a ship its way through the dark.
White lights mark the middle of the fairway, and red lights mark its port side for incoming ships.
The lamps of the towers are tested by the harbour office on the first day of every month.""",
    6: """Chapter 2: Lights 4
Broken lights are reported to the harbour office by radio, and ships are warned within one hour.
A pilot who sees a broken lamp must tell its number and the hour at which it was seen.""",
}


def analyses() -> list[tuple[int, PageAnalysis]]:
    return [(number, reading.read(text, page=number)) for number, text in PAGES.items()]


def batch_of(pages: list[tuple[int, PageAnalysis]]) -> BatchSummary:
    """Through the aggregator's own prompt."""
    prompt = prompts.batch(pages, gaps=[])[-1]["content"]
    assert isinstance(prompt, str)
    return summarizing.batch(list(markup.pages(prompt)))


def document_of(pages: list[tuple[int, PageAnalysis]], *batches: BatchSummary) -> documents.DocumentSummary:
    runs = [prompts.Run(batch.statements[0].pages[0], batch.statements[-1].pages[-1], batch) for batch in batches]
    prompt = prompts.document(pages[0], runs, gaps=[], unsummarised=[])[-1]["content"]
    assert isinstance(prompt, str)
    return documents.document(list(markup.pages(prompt)))


def test_every_statement_stands_on_the_page_that_it_names() -> None:
    texts = {number: page.text for number, page in analyses()}
    summary = batch_of(analyses())
    assert len(summary.statements) >= 3
    for statement in summary.statements:
        assert statement.text.rpartition(summarizing.RUN_IN)[2] in texts[statement.pages[0]]


def test_statements_are_in_page_order_and_come_from_all_over_the_batch() -> None:
    pages = [statement.pages[0] for statement in batch_of(analyses()).statements]
    assert pages == sorted(pages)
    assert {3, 5} <= set(pages)


def test_the_first_statement_of_each_chapter_names_it_and_the_batch_is_titled_by_its_chapters() -> None:
    summary = batch_of(analyses())
    run_ins = [text.partition(summarizing.RUN_IN)[0] for text, _ in map(_pair, summary.statements) if " — " in text]
    assert run_ins == ["Tides", "Lights"]
    assert summary.title == "Tides · Lights"


def test_a_batch_that_begins_within_a_chapter_knows_it_from_the_running_heads() -> None:
    assert batch_of(analyses()[3:4]).title == "Tides"


def test_licences_code_and_sentences_that_lean_on_others_are_not_chosen() -> None:
    said = " ".join(statement.text for statement in batch_of(analyses()).statements)
    for unwanted in ("Permission is granted", "tide(kiel)", "They return about", "See Section"):
        assert unwanted not in said


def test_pages_without_a_text_layer_are_named_as_not_read() -> None:
    pages = [*analyses()[2:4], (5, reading.read("", page=5)), (6, reading.read("", page=6))]
    summary = batch_of(pages)
    assert summary.statements[-1].pages == [5, 6]
    assert tells_unread(summary.statements[-1].text)
    assert not any(NO_TEXT in statement.text for statement in summary.statements)


def test_a_batch_of_images_only_says_nothing_but_that() -> None:
    summary = batch_of([(7, reading.read("", page=7))])
    assert [statement.pages for statement in summary.statements] == [[7]]
    assert tells_unread(summary.statements[0].text)
    assert summary.title == "Page 7"


def test_the_documents_title_is_the_covers_and_its_parts_name_their_pages() -> None:
    pages = analyses()
    summary = document_of(pages, batch_of(pages[:4]), batch_of(pages[4:]))
    assert (summary.title, summary.title_pages) == ("The Harbour Handbook", [1])
    assert summary.abstract.startswith("This handbook describes the tides")
    assert 3 in summary.abstract_pages
    assert [section.heading for section in summary.sections] == ["Tides", "Lights"]
    texts = dict(pages)
    for section in summary.sections:
        assert section.pages
        assert all(any(page.text and part in page.text for page in texts.values()) for part in _parts(section.text))
    assert all(point.pages for point in summary.key_points)


def test_a_document_of_images_only_says_so_and_names_all_pages() -> None:
    pages = [(number, reading.read("", page=number)) for number in range(1, 5)]
    summary = document_of(pages, batch_of(pages[:2]), batch_of(pages[2:]))
    assert tells_unread(summary.abstract)
    assert summary.abstract_pages == [1, 2, 3, 4]
    assert (summary.title, summary.title_pages) == (documents.UNTITLED, [])
    assert (summary.sections, summary.key_points) == ([], [])


def test_statements_of_another_model_are_taken_as_they_are() -> None:
    batches = [
        (
            1,
            25,
            "# Tides of the Baltic\nThe Baltic has hardly any tide. [p. 3]\nWind raises its water. [pp. 4, 7–9]",
        ),
        (26, 50, "# Lights\nEvery tower has its own rhythm of flashes. [p. 30]"),
    ]
    summary = documents.document(batches)
    assert summary.title == "Tides of the Baltic"
    assert [section.heading for section in summary.sections] == ["Tides of the Baltic", "Lights"]
    named = {page for section in summary.sections for page in section.pages} | set(summary.abstract_pages)
    assert named == {3, 4, 7, 8, 9, 30}


def test_a_document_has_at_most_sixteen_sections_whatever_its_chapters() -> None:
    batches = []
    for batch in range(40):
        lines = [
            f"Part {batch}-{n} — The harbour of town {batch} {n} is {batch + n} metres deep. [p. {batch * 3 + n + 1}]"
            for n in range(3)
        ]
        batches.append((batch * 3 + 1, batch * 3 + 3, "\n".join([f"# Batch {batch}", *lines])))
    summary = documents.document(batches)
    assert 8 <= len(summary.sections) <= 16
    assert summary.sections[0].heading.startswith("Part 0-0 to Part ")
    assert [section.pages[0] for section in summary.sections] == sorted(
        section.pages[0] for section in summary.sections
    )


def test_nothing_at_all_is_summarised_as_nothing() -> None:
    assert summarizing.batch([]) == BatchSummary(title="", statements=[])
    assert documents.document([]).abstract == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("The tide rises. [p. 3]", [("The tide rises.", [3])]),
        ("- The tide rises [pp. 3, 7]. It falls. [p. 8]", [("The tide rises.", [3, 7]), ("It falls.", [8])]),
        ("It rises. [pp. 3–5, 9]", [("It rises.", [3, 4, 5, 9])]),
        ("It rises. [pp. 1–9000]", [("It rises.", [1, 9000])]),
        ("It rises [see below].", []),
    ],
)
def test_citations_are_read_to_exact_pages(line: str, found: list[tuple[str, list[int]]]) -> None:
    cited, _ = citing.statements(line)
    assert list(map(_pair, cited)) == found


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("A tide is the regular rise and fall of the water.", "It is the regular rise and fall of the water in it."),
        (
            "Tides are measured by the office every single day.",
            "Tides are measured by the office, see Section 4 below.",
        ),
        ("Tides are measured by the office every single day.", "tides are measured by the office every single day."),
        ("Tides are measured by the office every single day.", "Tides are measured by f(x) and g(y) at n2 on day d3."),
        ("Tides are measured by the office every single day.", "Copyright is held by the office for every single day."),
        ("Tides are measured by the office every single day.", "Arrays, 20, 22, Binary operators, 46, Box plots, 40."),
        ("This guide describes the measuring of the tides.", "This fact describes the measuring of the tides."),
    ],
)
def test_sentences_that_stand_alone_are_worth_more(better: str, worse: str) -> None:
    assert worth(better) > worth(worse)


def test_the_central_sentence_ranks_first_and_a_stranger_last() -> None:
    bags = [["tide", "moon", "water"], ["tide", "moon"], ["tide", "water", "harbour"], ["violin", "sonata"]]
    ranks = textrank.rank(bags)
    assert int(np.argmax(ranks)) == 0
    assert int(np.argmin(ranks)) == 3
    assert ranks[3] == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("bags", [[], [[]], [["one"]], [["same"], ["same"]]])
def test_few_sentences_can_be_ranked_too(bags: list[list[str]]) -> None:
    ranks = textrank.rank(bags)
    assert len(ranks) == len(bags)
    assert np.isfinite(ranks).all()


def test_ranking_grows_with_the_words_and_not_with_the_square_of_the_sentences() -> None:
    random_words = random.Random(7)
    vocabulary = [f"word{number}" for number in range(5_000)]
    bags = [random_words.choices(vocabulary, k=12) for _ in range(40_000)]
    began = time.perf_counter()
    textrank.rank(bags)  # a similarity matrix would hold 1.6 thousand million numbers
    assert time.perf_counter() - began < 10


def test_near_duplicates_are_chosen_once_and_pages_take_turns() -> None:
    texts = [
        "The tide follows the moon each day.",
        "Each day the tide follows the moon.",
        "Lamps mark the fairway at night.",
    ]
    found = [
        Passage(text=text, pages=(page,), heading="", opens=False, worth=1.0)
        for text, page in zip(texts, (1, 2, 1), strict=True)
    ]
    assert picking.choose(found, [1.0, 0.9, 0.5], 3) == [0, 2]
    assert picking.choose(found, [1.0, 0.9, 0.5], 3, besides=[found[2]]) == [0]
    assert picking.choose(found[::2], [1.0, 0.9], 1) == [0]


def test_prose_is_told_from_code_headings_and_tables_in_markdown() -> None:
    text = "# One\n\nThe tide is high\ntoday.\n\n```\n# no heading\n```\n\n| a | b |\n\n- An item.\n## Two"
    parts = [(heading.text if heading else "", prose) for heading, prose in passages.of_markdown(text)]
    assert parts == [("One", ""), ("", "The tide is high today."), ("", "An item."), ("Two", "")]


def test_page_numbers_are_written_as_spans() -> None:
    assert [spans.written(pages) for pages in ([4], [1, 2, 3, 7], [2, 4, 6])] == [
        "page 4",
        "pages 1–3 and 7",
        "pages 2, 4 and 6",
    ]


def _pair(cited: Cited) -> tuple[str, list[int]]:
    return cited.text, cited.pages


def _parts(text: str) -> list[str]:
    """The sentences of a section, as they were put together: each ends in a full stop."""
    cut = [part for part in text.split(". ") if part]
    return [part if part.endswith(".") else f"{part}." for part in itertools.chain(cut)]

"""Blank pages are read without an analysis: they are no gaps, and nothing is said of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from shared import markup
from shared.outcomes import BatchDone, DocumentDone
from shared.records import BatchRecord, Job, PageRecord
from shared.results import BatchSummary, Cited, DocumentSummary
from tests.unit.test_aggregator import BATCH, DOCUMENT, GAP, World

EMPTY = BatchSummary(title="", statements=[])


class Blank(World):
    """A world some of whose pages are blank."""

    def __init__(self, answer: msgspec.Struct, *, blank: Sequence[int], gaps: Sequence[int] = ()) -> None:
        super().__init__(answer, gaps=gaps)
        assert self.job is not None
        self.job = msgspec.structs.replace(self.job, blank=len(blank))
        self.blank = blank

    async def get_pages(self, job: Job, ordinals: Sequence[int]) -> list[PageRecord]:
        return [
            PageRecord(ordinal=record.ordinal, page=record.page, blank=True) if record.page in self.blank else record
            for record in await super().get_pages(job, ordinals)
        ]


async def test_a_blank_page_is_neither_shown_nor_told_as_a_gap_nor_cited() -> None:
    world = Blank(BatchSummary(title="", statements=[Cited(text="a", pages=[2, 3])]), blank=[2])
    made = world.kept(await world.batch())
    assert [first for first, _, _ in markup.pages(world.prompts[0])] == [1, 3]
    assert "could not be read" not in world.prompts[0]
    assert [each.pages for each in made.statements] == [[3]]


@pytest.mark.parametrize("gaps", [[], [3]])
async def test_a_batch_with_nothing_to_read_has_an_empty_summary_and_costs_no_call(gaps: list[int]) -> None:
    world = Blank(BATCH, blank=[page for page in (1, 2, 3) if page not in gaps], gaps=gaps)
    assert world.kept(await world.batch()) == EMPTY
    assert world.prompts == []


async def test_a_document_opens_with_its_first_page_that_has_something_on_it() -> None:
    world = Blank(DOCUMENT, blank=[1])
    made = world.kept(await world.document())
    assert next(markup.pages(world.prompts[0]))[0] == 2
    assert "could not be read" not in world.prompts[0]
    assert made.title_pages == [2]


async def test_a_document_of_blank_pages_is_completed_with_a_summary_that_says_so() -> None:
    world = Blank(DOCUMENT, blank=[1, 2, 3, 4, 5])
    outcome = await world.document()
    assert isinstance(outcome, DocumentDone)
    assert outcome.failed == ""
    assert world.kept(outcome) == DocumentSummary(
        title="", title_pages=[], abstract="All 5 pages are blank.", abstract_pages=[], sections=[], key_points=[]
    )
    assert world.prompts == []


async def test_a_document_of_blank_pages_and_gaps_has_no_summary_and_says_why() -> None:
    world = Blank(DOCUMENT, blank=[1, 2], gaps=[3, 4, 5])
    world.batches = [BatchRecord(batch=0, blob="b0"), BatchRecord(batch=1, failed=GAP)]
    assert await world.document() == DocumentDone(failed="The pages that could be read are blank.")


async def test_a_batch_of_gaps_in_a_document_with_blank_pages_is_still_one() -> None:
    world = Blank(BATCH, blank=[4, 5], gaps=[1, 2, 3])
    assert await world.batch() == BatchDone(failed=f"none of its pages could be read: {GAP}")

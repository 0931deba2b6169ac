"""The aggregator: batches and documents are summarised once all below them has ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from services.aggregator import handler
from services.aggregator.levels import Asker
from shared import markup
from shared.ai.answers import Answer
from shared.errors import Gone, Refused, RetryLater
from shared.events import BatchSummarized, PageAnalyzed
from shared.outcomes import BatchDone, DocumentDone, Noted, Outcome, Usage
from shared.records import BatchRecord, Job, PageRecord
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis, Section
from tests.shelves import Shelf

USAGE = Usage(calls=1, tokens_in=10, tokens_out=5, cost_usd=0.001)
GAP = "The model refused it"
LAST_PAGE = PageAnalyzed(job="local/a", run="r1", batch=0, ordinal=2, page=3, outcome="read", last=True)
LAST_BATCH = BatchSummarized(job="local/a", run="r1", batch=1, last=True)
BATCH = BatchSummary(title="Mills", statements=[Cited(text="Built.", pages=[1, 99])])
DOCUMENT = DocumentSummary(
    title="On Mills",
    title_pages=[1],
    abstract="About mills.",
    abstract_pages=[1, 2],
    sections=[Section(heading="Water", text="Water mills.", pages=[2, 3])],
    key_points=[],
)


def analysis(number: int, *, empty: bool = False) -> PageAnalysis:
    return PageAnalysis(
        text="" if empty else f"Text of page {number}.",
        headings=["On Mills"] if number == 1 else [],
        summary="" if empty else f"Summary of page {number}.",
        key_points=[],
        tables=[],
        figures=[],
        language="en",
        kind="blank" if empty else "text",
        confidence=0.9,
    )


class World:
    """A job of five pages in batches of three, its blobs, and a model that gives one answer."""

    def __init__(self, answer: msgspec.Struct, *, gaps: Sequence[int] = (), empty: Sequence[int] = ()) -> None:
        self.job: Job | None = Job(
            ref="local/a", run="r1", status="summarizing", kind="pdf", source="u", fingerprint="f",
            batch_size=3, pages=5, batches=2, created_ms=0,
        )  # fmt: skip
        self.answer = answer
        self.gaps = gaps
        self.blobs = {
            f"p{number}": msgspec.json.encode(analysis(number, empty=number in empty)) for number in range(1, 6)
        }
        self.batches = [BatchRecord(batch=0, blob="b0"), BatchRecord(batch=1, blob="b1")]
        for batch, page in ((0, 1), (1, 4)):
            made = BatchSummary(title=f"Batch {batch}", statements=[Cited(text=f"Said {batch}.", pages=[page])])
            self.blobs[f"b{batch}"] = msgspec.json.encode(made)
        self.prompts: list[str] = []
        self.asker = partial(Asker, model="pen", ask=self.ask, claim=Shelf(self.blobs).claim, keep=self.keep)

    async def get_job(self, ref: str) -> Job | None:
        return self.job

    async def get_pages(self, job: Job, ordinals: Sequence[int]) -> list[PageRecord]:
        return [
            PageRecord(ordinal=o, page=o + 1, reason=GAP)
            if o + 1 in self.gaps
            else PageRecord(ordinal=o, page=o + 1, blob=f"p{o + 1}")
            for o in ordinals
        ]

    async def get_batches(self, job: Job) -> list[BatchRecord]:
        return self.batches

    async def fetch(self, key: str) -> bytes:
        if key not in self.blobs:
            raise FileNotFoundError(key)
        return self.blobs[key]

    async def keep(self, key: str, data: bytes) -> None:
        self.blobs[key] = data

    async def ask(self, answer: type[Any], messages: Sequence[Any], *, job: str, run: str) -> Answer[Any]:
        assert (job, run, answer) == ("local/a", "r1", type(self.answer))
        self.prompts.append(messages[1]["content"])
        return Answer(value=self.answer, usage=USAGE, seconds=1.0)

    async def batch(self, fact: PageAnalyzed = LAST_PAGE) -> Outcome:
        return await handler.summarize_batch(
            fact, job=self.get_job, pages=self.get_pages, fetch=self.fetch, asker=self.asker, keep=self.keep
        )

    async def document(self, fact: BatchSummarized = LAST_BATCH) -> Outcome:
        return await handler.summarize_document(
            fact, job=self.get_job, pages=self.get_pages, batches=self.get_batches, fetch=self.fetch,
            asker=self.asker, keep=self.keep,
        )  # fmt: skip

    def kept(self, outcome: Outcome) -> Any:
        assert isinstance(outcome, BatchDone | DocumentDone)
        return msgspec.json.decode(self.blobs[outcome.blob], type=type(self.answer))


# Batches ------------------------------------------------------------------------------------------------------------


async def test_a_page_that_is_not_its_batchs_last_is_noted_without_a_look_at_the_job() -> None:
    world = World(BATCH)
    world.job = None
    assert await world.batch(msgspec.structs.replace(LAST_PAGE, last=False)) == Noted()


async def test_a_batch_is_summarised_from_its_own_pages_and_only_real_pages_are_cited() -> None:
    world = World(BATCH)
    outcome = await world.batch()
    assert isinstance(outcome, BatchDone)
    assert (outcome.failed, outcome.usage) == ("", USAGE)
    assert outcome.blob.startswith("jobs/local/a/r1/batches/0000-")
    assert world.kept(outcome) == BatchSummary(title="Mills", statements=[Cited(text="Built.", pages=[1])])
    assert [first for first, _, _ in markup.pages(world.prompts[0])] == [1, 2, 3]


async def test_a_short_last_batch_is_summarised_from_what_there_is() -> None:
    world = World(BATCH)
    await world.batch(msgspec.structs.replace(LAST_PAGE, batch=1))
    assert [first for first, _, _ in markup.pages(world.prompts[0])] == [4, 5]


async def test_gaps_are_told_to_the_model_and_never_cited() -> None:
    world = World(BatchSummary(title="", statements=[Cited(text="a", pages=[2]), Cited(text="b", pages=[3])]), gaps=[2])
    made = world.kept(await world.batch())
    assert "could not be read: 2." in world.prompts[0]
    assert [each.pages for each in made.statements] == [[3]]


async def test_a_batch_of_gaps_has_no_summary_and_costs_no_call() -> None:
    world = World(BATCH, gaps=[1, 2, 3])
    assert await world.batch() == BatchDone(failed=f"none of its pages could be read: {GAP}")
    assert world.prompts == []


async def test_a_batch_of_empty_pages_has_an_empty_summary_and_costs_no_call() -> None:
    world = World(BATCH, empty=[1, 2, 3])
    outcome = await world.batch()
    assert world.kept(outcome) == BatchSummary(title="", statements=[])
    assert world.prompts == []


async def test_where_the_model_states_nothing_the_pages_own_summaries_stand() -> None:
    world = World(BatchSummary(title="Mills", statements=[]), empty=[2])
    made = world.kept(await world.batch())
    assert made.statements == [
        Cited(text="Summary of page 1.", pages=[1]),
        Cited(text="Summary of page 3.", pages=[3]),
    ]


async def test_a_result_that_is_gone_is_refused_in_a_sentence() -> None:
    world = World(BATCH)
    del world.blobs["p2"]
    with pytest.raises(Refused, match="no longer stored: p2"):
        await world.batch()


async def test_a_blob_store_that_fails_is_not_taken_for_a_missing_result() -> None:
    class Failing(World):
        async def fetch(self, key: str) -> bytes:
            raise RetryLater("the disk is slow")

    with pytest.raises(RetryLater, match="slow"):
        await Failing(BATCH).batch()


async def test_a_batch_that_was_summarised_before_is_not_asked_about_again_and_costs_nothing() -> None:
    world = World(BATCH)
    first = await world.batch()
    again = await world.batch(msgspec.structs.replace(LAST_PAGE, round=1, rev=2))
    assert len(world.prompts) == 1
    assert isinstance(again, BatchDone)
    assert (again.usage, world.kept(again)) == (Usage(), world.kept(first))


async def test_what_this_very_batch_paid_for_is_its_own_though_its_worker_went_before_it_was_recorded() -> None:
    world = World(BATCH)
    await world.batch()
    again = await world.batch()
    assert isinstance(again, BatchDone)
    assert (len(world.prompts), again.usage) == (1, USAGE)


# Documents ----------------------------------------------------------------------------------------------------------


async def test_a_batch_that_is_not_the_last_is_noted() -> None:
    assert await World(DOCUMENT).document(msgspec.structs.replace(LAST_BATCH, last=False)) == Noted()


async def test_a_document_is_summarised_from_its_opening_and_its_batches() -> None:
    world = World(DOCUMENT)
    outcome = await world.document()
    assert isinstance(outcome, DocumentDone)
    assert (outcome.failed, outcome.usage) == ("", USAGE)
    assert outcome.blob.startswith("jobs/local/a/r1/summary-")
    assert world.kept(outcome) == DOCUMENT
    assert [(first, last) for first, last, _ in markup.pages(world.prompts[0])] == [(1, 1), (1, 3), (4, 5)]


async def test_a_document_opens_with_its_first_page_that_was_read_and_cites_no_gap() -> None:
    world = World(DOCUMENT, gaps=[1, 3])
    made = world.kept(await world.document())
    assert next(markup.pages(world.prompts[0]))[0] == 2
    assert "could not be read: 1, 3." in world.prompts[0]
    assert (made.title_pages, made.abstract_pages, made.sections[0].pages) == ([2], [2], [2])


async def test_batches_without_a_summary_are_named_to_the_model() -> None:
    world = World(DOCUMENT)
    world.batches[1] = BatchRecord(batch=1, failed="The model refused it")
    await world.document()
    assert "read but are missing here: 4, 5." in world.prompts[0]


async def test_a_document_without_a_title_takes_the_heading_of_its_first_page() -> None:
    world = World(msgspec.structs.replace(DOCUMENT, title=" "))
    assert world.kept(await world.document()).title == "On Mills"


@pytest.mark.parametrize(
    ("gaps", "batches", "says"),
    [
        ([1, 2, 3, 4, 5], ["b0", "b1"], f"No page could be read: {GAP}"),
        ([], ["", ""], "could be read, but not summarised: too hot"),
        ([], ["e", "e"], "they hold nothing that could be told"),
    ],
)
async def test_a_document_that_cannot_be_summarised_says_why_and_costs_no_call(
    gaps: list[int], batches: list[str], says: str
) -> None:
    world = World(DOCUMENT, gaps=gaps)
    world.blobs["e"] = msgspec.json.encode(BatchSummary(title="", statements=[]))
    world.batches = [
        BatchRecord(batch=number, blob=blob, failed="" if blob else "too hot") for number, blob in enumerate(batches)
    ]
    outcome = await world.document()
    assert isinstance(outcome, DocumentDone)
    assert says in outcome.failed
    assert (outcome.blob, world.prompts) == ("", [])


# Jobs that nobody wants any more ------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [None, {"run": "r2"}, {"status": "cancelled"}, {"status": "completed"}])
async def test_a_job_that_ended_was_replaced_or_is_gone_costs_no_call(changes: dict[str, Any] | None) -> None:
    world = World(BATCH)
    world.job = None if changes is None else msgspec.structs.replace(world.job, **changes)
    with pytest.raises(Gone):
        await world.batch()
    with pytest.raises(Gone):
        await world.document()
    assert world.prompts == []

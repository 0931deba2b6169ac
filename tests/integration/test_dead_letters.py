"""Dead letters on a real server: what failed goes round again, once, and nothing that was read is asked again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import keys
from shared.deadletters import UNREADABLE, WHY_NOT, DeadLetters
from shared.events import (
    FACTS,
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    PageAnalyzed,
    PageRequested,
)
from shared.ledger import Ledger
from shared.outcomes import DocumentDone, Narrated, Planned
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings
from shared.submission import Submission
from tests import apps
from tests.ledgers import JOB, finish, image, read, read_all, summarise_batches, the_job


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def replay(app: App[Settings], stream: str) -> list[str]:
    """Why each letter of a stream was not tried again; empty where it was."""
    letters = DeadLetters(app.redis)
    return [answer.why for answer in await letters.replay(await letters.of(stream))]


async def partial(app: App[Settings], *, pages: int = 7, failing: set[int]) -> None:
    """A job of batches of two pages that has ended with gaps."""
    await apps.ready_pages(app, pages=pages, batch_size=2)
    await read_all(app, failing=failing)
    assert await finish(app) == "partial"


async def test_a_letter_says_what_failed_why_and_with_whom(app: App[Settings]) -> None:
    await partial(app, failing={4})
    (letter,) = await DeadLetters(app.redis).of(PageRequested.stream)
    assert (letter.job, letter.page, letter.reason) == (JOB, 5, "the model refused it")
    assert (letter.attempts, letter.worker) == (0, app.worker)
    assert abs(letter.at_ms - (await the_job(app)).ended_ms) < 60_000
    assert await DeadLetters(app.redis).get(PageRequested.stream, letter.id) == letter


async def test_a_page_that_failed_goes_round_again_and_nothing_else_does(app: App[Settings]) -> None:
    await partial(app, failing={1, 4})
    started = (await the_job(app)).started_ms
    assert await replay(app, PageRequested.stream) == ["", ""]
    job = await the_job(app)
    assert (job.status, job.rev, job.reason, job.summary, job.ended_ms) == ("processing", 2, "", "", 0)
    assert (job.done, job.failed, job.batches_done) == (5, 0, 2)
    assert job.started_ms == started
    assert await app.jobs.gaps(job) == []
    entries = await apps.take(app.redis, PageRequested, app.worker)
    assert sorted((e.fact.ordinal, e.fact.round, e.fact.image) for e in entries) == [  # type: ignore[attr-defined]
        (1, 1, "images/1"),
        (4, 1, "images/4"),
    ]
    for entry in entries:
        assert await app.ledger.record(entry, read("again")) == "recorded"
    last = [e.fact for e in await apps.take(app.redis, PageAnalyzed, "look") if e.fact.last]  # type: ignore[attr-defined]
    assert [(fact.batch, fact.rev) for fact in last] == [(0, 2), (2, 2)]  # type: ignore[attr-defined]
    await app.redis.xgroup_setid(PageAnalyzed.stream, PageAnalyzed.group, "0")
    assert await finish(app) == "completed"
    job = await the_job(app)
    assert (job.done, job.failed, job.batches_done, job.calls) == (7, 0, 4, 7)
    assert await DeadLetters(app.redis).of(PageRequested.stream) == []
    assert await app.redis.exists(keys.ACTIVE, keys.STARTED, keys.PAGES_READY, keys.TAGS) == 0


async def test_a_second_retry_of_another_batch_ends_too(app: App[Settings]) -> None:
    """The document's summary is of the job's rev, whichever batch was the last."""
    await partial(app, failing={1, 4})
    assert (await Repairs(app.redis).retry_pages(await the_job(app), ordinals=[4])).word == "retried"
    await read_all(app)
    assert await finish(app) == "partial"
    assert (await Repairs(app.redis).retry_pages(await the_job(app), ordinals=[1])).word == "retried"
    await read_all(app)
    assert await finish(app) == "completed"
    assert (await the_job(app)).rev == 3


async def test_a_retry_that_is_repeated_changes_nothing(app: App[Settings]) -> None:
    await partial(app, failing={1})
    job, repairs = await the_job(app), Repairs(app.redis)
    assert (await repairs.retry_pages(job, ordinals=[1])).pages == 1
    before = await image(app.redis)
    assert (await repairs.retry_pages(job, ordinals=[1])).word == "open"
    assert await image(app.redis) == before
    await read_all(app, failing={1})
    assert await finish(app) == "partial"
    assert (await repairs.retry_pages(job, ordinals=[1])).word == "changed"


async def test_a_retried_job_is_healthy_at_every_step(app: App[Settings]) -> None:
    await partial(app, failing={1, 4})
    await replay(app, PageRequested.stream)
    while entries := await apps.take(app.redis, PageRequested, app.worker, count=1):
        assert await Repairs(app.redis).reconcile(JOB) == {}
        await app.ledger.record(entries[0], read())
        assert await Repairs(app.redis).reconcile(JOB) == {}
    await summarise_batches(app)
    assert await Repairs(app.redis).reconcile(JOB) == {}


async def test_a_page_lost_in_its_second_round_is_put_back_in_that_round(app: App[Settings]) -> None:
    await partial(app, failing={1})
    await replay(app, PageRequested.stream)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    await app.redis.xdel(PageRequested.stream, entry.id)
    await app.redis.xack(PageRequested.stream, PageRequested.group, entry.id)
    assert await Repairs(app.redis).reconcile(JOB) == {"page": 1}
    (again,) = await apps.take(app.redis, PageRequested, app.worker)
    assert again.fact == entry.fact


async def test_a_late_success_of_the_first_round_counts_and_the_second_is_not_asked(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, "zombie")
    await app.redis.xclaim(entry.fact.stream, entry.fact.group, app.worker, 0, [entry.id])
    await app.ledger.fail(entry, "it took too long")
    await finish(app)
    await replay(app, PageRequested.stream)
    assert await Ledger(app.redis, worker="zombie").record(entry, read("late")) == "recorded"
    assert await apps.take(app.redis, PageRequested, app.worker) == []
    assert await finish(app) == "completed"


async def test_a_retried_job_can_be_cancelled(app: App[Settings]) -> None:
    await partial(app, failing={1, 4})
    await replay(app, PageRequested.stream)
    cancelled = await app.ledger.cancel(JOB)
    assert cancelled is not None
    assert (cancelled.was, cancelled.status, cancelled.stopped_pages) == ("processing", "cancelled", 2)
    assert await app.redis.xlen(PageRequested.stream) == 0


async def test_pages_whose_rendering_failed_are_rendered_again(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=5, batch_size=2)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=5))
    while batches := await apps.take(app.redis, BatchRequested, app.worker):
        for entry in batches:
            first = entry.fact.batch * 2  # type: ignore[attr-defined]
            if first == 2:
                await app.ledger.record(entry, apps.rendered(2, 2, done=False))
                await app.ledger.fail(entry, "the document is gone")
            else:
                await app.ledger.record(entry, apps.rendered(first, min(first + 1, 4)))
    assert await read_all(app) == 4
    assert await finish(app) == "partial"
    assert await replay(app, BatchRequested.stream) == [""]
    assert await Repairs(app.redis).reconcile(JOB) == {}
    (entry,) = await apps.take(app.redis, BatchRequested, app.worker)
    assert entry.fact.batch == 1  # type: ignore[attr-defined]
    assert await Repairs(app.redis).reconcile(JOB) == {}
    await app.ledger.record(entry, apps.rendered(2, 3))
    (page,) = await apps.take(app.redis, PageRequested, app.worker)
    assert (page.fact.ordinal, page.fact.round) == (3, 1)  # type: ignore[attr-defined]
    await app.ledger.record(page, read())
    assert await finish(app) == "completed"


async def test_a_batch_without_a_summary_is_summarised_again(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=5, batch_size=2)
    await read_all(app)
    await summarise_batches(app, failing={1})
    assert await replay(app, PageAnalyzed.stream) == [WHY_NOT["open"]]
    assert await finish(app) == "partial"
    assert await replay(app, PageAnalyzed.stream) == [""]
    job = await the_job(app)
    assert (job.status, job.batches_done, job.batches_failed) == ("summarizing", 2, 0)
    assert await Repairs(app.redis).reconcile(JOB) == {}
    assert await finish(app) == "completed"
    assert (await the_job(app)).calls == 5


async def test_a_document_without_a_summary_is_summarised_again(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    await read_all(app)
    await summarise_batches(app)
    (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
    assert await app.ledger.fail(entry, "the model is silent") == "partial"
    assert await replay(app, BatchSummarized.stream) == [""]
    assert await finish(app) == "completed"


async def test_a_document_that_could_not_be_counted_is_submitted_again(app: App[Settings]) -> None:
    await apps.submit(app.ledger)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.fail(entry, "the file store is away")
    assert await replay(app, DocSubmitted.stream) == [""]
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    assert await app.ledger.record(entry, Planned(pages=3)) == "planned"
    assert (await the_job(app)).status == "queued"


async def test_a_narration_that_failed_is_spoken_again(app: App[Settings]) -> None:
    told = Submission(
        ref=JOB, run="r", kind="images", source="u", fingerprint="f", batch_size=25, pages=1, narrate=True
    )
    await app.ledger.submit(told)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=1))
    (entry,) = await apps.take(app.redis, BatchRequested, app.worker)
    await app.ledger.record(entry, apps.rendered(0, 0))
    await read_all(app)
    assert await finish(app) == "completed"
    (entry,) = await apps.take(app.redis, DocSummarized, app.worker)
    await app.ledger.fail(entry, "there is no voice")
    assert (await the_job(app)).audio == "failed"
    assert await replay(app, DocSummarized.stream) == [""]
    (entry,) = await apps.take(app.redis, DocSummarized, app.worker)
    assert await app.ledger.record(entry, Narrated(audio="mp3", timeline="t")) == "recorded"
    job = await the_job(app)
    assert (job.status, job.audio) == ("completed", "ready")


async def test_what_cannot_be_tried_again_says_why_and_stays(app: App[Settings]) -> None:
    await partial(app, failing={1})
    letters = DeadLetters(app.redis)
    (letter,) = await letters.of(PageRequested.stream)
    others = [
        {**letter.fields, "ordinal": "0", "page": "1"},  # it was read
        {**letter.fields, "run": "older"},
        {**letter.fields, "job": "local/nobody"},
        {"job": JOB, "reason": "page: expected int"},
    ]
    for fields in others:
        await app.redis.xadd(keys.dead(PageRequested.stream), fields)
    why = await replay(app, PageRequested.stream)
    assert sorted(why) == sorted(["", WHY_NOT["nothing"], WHY_NOT["gone"], WHY_NOT["gone"], UNREADABLE])
    assert len(await letters.of(PageRequested.stream)) == 4
    assert await letters.drop(await letters.of(PageRequested.stream)) == 4


async def test_a_cancelled_job_stays_cancelled(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=3)
    (entry, *_) = await apps.take(app.redis, PageRequested, app.worker)
    await app.ledger.fail(entry, "unreadable")
    await app.ledger.cancel(JOB)
    assert await replay(app, PageRequested.stream) == [WHY_NOT["cancelled"]]


async def test_five_thousand_gaps_go_round_again_in_under_a_second(app: App[Settings]) -> None:
    """A document whose model was away: one script, one rev."""
    await apps.submit(app.ledger, pages=5000)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=5000))
    async with app.redis.pipeline() as pipe:
        for ordinal in range(5000):
            pipe.hset(keys.rendered(JOB), str(ordinal), f'{{"page":{ordinal + 1},"image":"i","text":""}}')
            pipe.hset(keys.gaps(JOB), str(ordinal), f'{{"page":{ordinal + 1},"reason":"x"}}')
        for batch in range(200):
            pipe.hset(keys.batches(JOB), f"ended:{batch}", 25)
            pipe.hset(keys.batches(JOB), f"summary:{batch}", '{"blob":"","failed":"x"}')
        pipe.hset(keys.job(JOB), mapping={"status": "failed", "failed": 5000, "batches_failed": 200})
        pipe.delete(keys.BATCHES_BODIES, keys.BATCHES_QUEUE, BatchRequested.stream)
        await pipe.execute()
    await app.ledger.prepare()
    job = await the_job(app)
    started = time.perf_counter()
    answer = await Repairs(app.redis).retry_pages(job, ordinals=range(5000))
    took_s = time.perf_counter() - started
    assert (answer.pages, answer.batches) == (5000, 200)
    assert took_s < 1
    assert await Repairs(app.redis).reconcile(JOB) == {}
    assert [await app.redis.xlen(fact.stream) for fact in FACTS if fact is not PageRequested] == [0] * (len(FACTS) - 1)


async def test_a_job_that_failed_for_its_summary_alone_is_not_asked_page_by_page(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    await read_all(app)
    await summarise_batches(app)
    (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
    await app.ledger.record(entry, DocumentDone(failed="nothing could be told"))
    assert (await Repairs(app.redis).retry_pages(await the_job(app), ordinals=[0, 1])).word == "nothing"

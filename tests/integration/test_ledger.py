"""The ledger's scripts on a real server: once, twice, late, out of order, by the wrong owner."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import fleet, keys
from shared.events import (
    FACTS,
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    PageAnalyzed,
    PageRequested,
)
from shared.ledger import Entry, Ledger
from shared.outcomes import BatchDone, DocumentDone, Noted, PageRead, Planned, Usage
from shared.records import Job
from shared.service import App
from shared.settings import Settings
from shared.submission import Submission
from tests import apps

JOB = "local/one"
ONE_CALL = Usage(calls=1, tokens_in=100, tokens_out=10, cost_usd=0.25)


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def the_job(app: App[Settings], ref: str = JOB) -> Job:
    job = await app.jobs.get(ref)
    assert job is not None
    return job


def read(blob: str = "blob") -> PageRead:
    return PageRead(blob=blob, usage=ONE_CALL)


async def read_all(app: App[Settings]) -> None:
    while entries := await apps.take(app.redis, PageRequested, app.worker):
        for entry in entries:
            await app.ledger.record(entry, read())


async def finish(app: App[Settings]) -> str:
    """Summarise what there is; answers the job's last word."""
    word = ""
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        await app.ledger.record(entry, BatchDone(blob="b") if entry.fact.last else Noted())  # type: ignore[attr-defined]
    for entry in await apps.take(app.redis, BatchSummarized, app.worker):
        word = await app.ledger.record(entry, DocumentDone(blob="d") if entry.fact.last else Noted())  # type: ignore[attr-defined]
    return word


async def left_over(redis: Redis) -> list[str]:
    """Keys of the fleet that still hold something."""
    found = []
    for stats in await fleet.streams(redis):
        found += [stats.stream] if stats.backlog or stats.in_flight else []
    for key in (keys.PAGES_QUEUE, keys.PAGES_BODIES, keys.PAGES_AT, keys.PAGES_READY, keys.BATCHES_QUEUE):
        found += [key] if await redis.exists(key) else []
    for key in (keys.BATCHES_BODIES, keys.TAGS, keys.STARTED, keys.ACTIVE):
        found += [key] if await redis.exists(key) else []
    return found


async def test_a_document_goes_its_way_and_leaves_nothing_in_the_fleets_keys(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=60)
    await read_all(app)
    assert (await the_job(app)).status == "summarizing"
    assert await finish(app) == "completed"
    job = await the_job(app)
    assert (job.done, job.failed, job.batches_done, job.calls) == (60, 0, 3, 60)
    assert job.cost_usd == pytest.approx(15)
    assert 0 < job.created_ms <= job.started_ms <= job.ended_ms
    assert await left_over(app.redis) == []


async def test_a_submission_is_accepted_once_and_then_recognised(app: App[Settings]) -> None:
    first = Submission(ref=JOB, run="r1", kind="pdf", source="u1", fingerprint="f", batch_size=25)
    again = Submission(ref=JOB, run="r2", kind="pdf", source="u2", fingerprint="f", batch_size=25)
    other = Submission(ref=JOB, run="r3", kind="pdf", source="u3", fingerprint="g", batch_size=25)
    answers = [await app.ledger.submit(submission) for submission in (first, again, other)]
    assert [(a.run, a.created, a.same) for a in answers] == [
        ("r1", True, True),
        ("r1", False, True),
        ("r1", False, False),
    ]
    assert await app.redis.xlen(DocSubmitted.stream) == 1
    assert (await the_job(app)).source == "u1"


async def test_every_outcome_may_be_recorded_twice(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=2)
    (submitted,) = await apps.take(app.redis, DocSubmitted, app.worker)
    assert [await app.ledger.record(submitted, Planned(pages=2)) for _ in "ab"] == ["planned", "duplicate"]
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    for _ in "ab":
        await app.ledger.record(batch, apps.rendered(0, 1))
    pages = await apps.take(app.redis, PageRequested, app.worker)
    assert len(pages) == 2
    for page in pages:
        assert [await app.ledger.record(page, read()) for _ in "ab"] == ["recorded", "duplicate"]
    analyzed = await apps.take(app.redis, PageAnalyzed, app.worker)
    assert [entry.fact.last for entry in analyzed] == [False, True]  # type: ignore[attr-defined]
    assert [await app.ledger.record(analyzed[1], BatchDone(blob="b")) for _ in "ab"] == ["recorded", "duplicate"]
    await app.ledger.record(analyzed[0], Noted())
    (summarized,) = await apps.take(app.redis, BatchSummarized, app.worker)
    assert [await app.ledger.record(summarized, DocumentDone(blob="d")) for _ in "ab"] == ["completed", "gone"]
    job = await the_job(app)
    assert (job.done, job.batches_done, job.calls) == (2, 1, 2)
    assert await left_over(app.redis) == []


async def test_the_first_success_wins_even_from_a_worker_that_lost_its_entry(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, "zombie")
    await app.redis.xclaim(entry.fact.stream, entry.fact.group, app.worker, 0, [entry.id])
    zombie = Ledger(app.redis, worker="zombie")
    assert await zombie.record(entry, read("zombie's")) == "recorded"
    assert await app.ledger.record(entry, read("mine")) == "duplicate"
    (page,) = await app.jobs.pages(await the_job(app), [0])
    assert page.blob == "zombie's"


async def test_a_zombies_failure_deferral_or_giving_back_changes_nothing(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    zombie = Ledger(app.redis, worker="zombie")
    assert await zombie.fail(entry, "its error") == "not_owner"
    assert await zombie.defer(entry, delay_s=1) == "not_owner"
    assert await zombie.give_back(entry) == "not_owner"
    assert await app.ledger.record(entry, read()) == "recorded"
    assert (await the_job(app)).failed == 0


async def test_a_failed_page_is_a_named_gap_and_a_dead_letter(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    first, second = await apps.take(app.redis, PageRequested, app.worker)
    assert await app.ledger.fail(first, "the model refused it") == "recorded"
    assert await app.ledger.fail(first, "the model refused it") == "not_owner"
    await app.ledger.record(second, read())
    assert await finish(app) == "partial"
    job = await the_job(app)
    assert job.reason == "1 page could not be read"
    assert [(gap.page, gap.reason) for gap in await app.jobs.gaps(job)] == [(1, "the model refused it")]
    ((_, letter),) = await app.redis.xrange(keys.dead(PageRequested.stream))
    assert letter["reason"] == "the model refused it"
    assert letter["page"] == "1"
    assert letter["worker"] == app.worker


async def test_a_document_without_a_page_read_has_failed(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    for entry in await apps.take(app.redis, PageRequested, app.worker):
        await app.ledger.fail(entry, "unreadable")
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        outcome = BatchDone(failed="no page was read") if entry.fact.last else Noted()  # type: ignore[attr-defined]
        await app.ledger.record(entry, outcome)
    (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
    assert await app.ledger.record(entry, DocumentDone(failed="no page was read")) == "failed"
    assert (await the_job(app)).reason == "no page was read"
    assert await left_over(app.redis) == []


async def test_a_page_that_cannot_be_rendered_ends_at_once(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=2)
    (submitted,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(submitted, Planned(pages=2))
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    report = apps.rendered(0, 1)
    broken = type(report.pages[0])(ordinal=1, page=2, failed="a broken page")
    await app.ledger.record(batch, type(report)(pages=[report.pages[0], broken], last=True))
    job = await the_job(app)
    assert (job.failed, job.done) == (1, 0)
    assert [entry.fact.page for entry in await apps.take(app.redis, PageRequested, app.worker)] == [1]  # type: ignore[attr-defined]


async def test_a_batch_that_cannot_be_rendered_makes_gaps_of_what_is_left(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=5)
    (submitted,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(submitted, Planned(pages=5))
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    await app.ledger.record(batch, apps.rendered(0, 1, done=False))
    assert await app.ledger.fail(batch, "the document is gone") == "recorded"
    job = await the_job(app)
    assert [gap.page for gap in await app.jobs.gaps(job)] == [3, 4, 5]
    await read_all(app)
    assert await finish(app) == "partial"
    assert await left_over(app.redis) == []


async def test_a_short_document_is_one_batch(app: App[Settings]) -> None:
    short = Submission(ref=JOB, run="r", kind="pdf", source="u", fingerprint="f", batch_size=25, whole_up_to=50)
    await app.ledger.submit(short)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=50))
    job = await the_job(app)
    assert (job.batches, job.batch_size) == (1, 50)
    assert list(job.batch_ordinals(0)) == list(range(50))


async def test_a_plan_that_fails_fails_the_job(app: App[Settings]) -> None:
    await apps.submit(app.ledger)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    assert await app.ledger.fail(entry, "the file is encrypted") == "recorded"
    job = await the_job(app)
    assert (job.status, job.reason) == ("failed", "the file is encrypted")
    assert await left_over(app.redis) == []


async def test_a_failed_batch_summary_is_named_and_the_job_goes_on(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=50)
    await read_all(app)
    last = [e for e in await apps.take(app.redis, PageAnalyzed, app.worker) if e.fact.last]  # type: ignore[attr-defined]
    assert await app.ledger.fail(last[0], "the model is silent") == "recorded"
    await app.ledger.record(last[1], BatchDone(blob="b"))
    job = await the_job(app)
    assert (job.batches_done, job.batches_failed) == (1, 1)
    final = (await apps.take(app.redis, BatchSummarized, app.worker))[-1]
    assert await app.ledger.record(final, DocumentDone(blob="d")) == "partial"
    assert (await the_job(app)).reason == "1 batch has no summary"


async def test_a_summary_of_an_older_rev_is_refused(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    await read_all(app)
    (entry,) = await apps.take(app.redis, PageAnalyzed, app.worker)
    await app.redis.hset(keys.batches(JOB), "rev:0", 2)
    assert await app.ledger.record(entry, BatchDone(blob="old")) == "stale"
    assert (await app.jobs.batches(await the_job(app)))[0].blob == ""


async def test_an_entry_of_another_run_is_dropped_and_writes_nothing(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    await app.redis.hset(keys.job(JOB), "run", "newer")
    assert await app.ledger.record(entry, read()) == "gone"
    assert (await the_job(app)).done == 0
    assert await app.redis.xlen(PageRequested.stream) == 0


async def test_a_deferred_page_leaves_the_stream_and_comes_back_when_it_is_due(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    tried = Entry(id=entry.id, fact=type(entry.fact)(**{**_fields(entry), "attempts": 2}))
    assert await app.ledger.defer(tried, delay_s=0.05) == "deferred"
    assert await app.redis.xlen(PageRequested.stream) == 0
    assert await app.ledger.defer(tried, delay_s=0.05) == "not_owner"
    deadline = time.monotonic() + 5
    back: list[Entry] = []
    while not back and time.monotonic() < deadline:
        await app.ledger.release()
        back = await apps.take(app.redis, PageRequested, app.worker)
    assert [e.fact.attempts for e in back] == [2]
    assert await app.ledger.record(back[0], read()) == "recorded"


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry.fact, name) for name in entry.fact.__struct_fields__}


async def test_what_is_given_back_is_anybodys_at_once(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    assert await app.ledger.give_back(entry) == "given_back"
    (again,) = await apps.take(app.redis, PageRequested, "another")
    assert again.fact == entry.fact
    assert await app.ledger.give_back(entry) == "not_owner"


async def test_a_renewal_is_refused_to_whoever_lost_the_entry(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    first, second = await apps.take(app.redis, PageRequested, app.worker)
    await app.redis.xclaim(PageRequested.stream, PageRequested.group, "another", 0, [second.id])
    assert await app.ledger.renew(PageRequested, [first.id, second.id, "1-1"]) == [second.id, "1-1"]
    owners = {row["message_id"]: row["consumer"] for row in await _pending(app.redis)}
    assert owners == {first.id: app.worker, second.id: "another"}


async def test_renewing_leaves_the_delivery_count_alone(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    for _ in range(3):
        await app.ledger.renew(PageRequested, [entry.id])
    assert [row["times_delivered"] for row in await _pending(app.redis)] == [1]


async def _pending(redis: Redis) -> list[dict[str, object]]:
    return await redis.xpending_range(PageRequested.stream, PageRequested.group, "-", "+", 100)  # type: ignore[return-value]


async def test_a_crash_is_counted_once_by_owner(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, "dead-1")
    take = {"idle_ms": 0, "crashed": True}
    assert await app.ledger.reclaim(entry, owner="dead-1", **take) == 1  # type: ignore[arg-type]
    assert await app.ledger.reclaim(entry, owner="dead-1", **take) is None  # type: ignore[arg-type]
    await app.redis.xclaim(entry.fact.stream, entry.fact.group, "dead-2", 0, [entry.id])
    assert await app.ledger.reclaim(entry, owner="dead-2", **take) == 2  # type: ignore[arg-type]


async def test_an_entry_that_is_not_stale_is_not_taken(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, "alive")
    assert await app.ledger.reclaim(entry, owner="alive", idle_ms=60_000, crashed=False) is None


async def test_cancel_stops_all_that_is_open_and_leaves_nothing(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=60)
    in_hand = await apps.take(app.redis, PageRequested, app.worker, count=3)
    await app.ledger.record(in_hand[0], read())
    await app.ledger.defer(in_hand[1], delay_s=60)
    cancelled = await app.ledger.cancel(JOB)
    assert cancelled is not None
    assert (cancelled.was, cancelled.status, cancelled.stopped_pages) == ("queued", "cancelled", 59)
    again = await app.ledger.cancel(JOB)
    assert again is not None
    assert (again.status, again.now) == ("cancelled", False)
    assert await app.ledger.record(in_hand[2], read()) == "gone"
    assert (await the_job(app)).done == 1
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        await app.ledger.record(entry, BatchDone(blob="late"))
    assert await left_over(app.redis) == []


async def test_ten_thousand_waiting_pages_are_cancelled_in_well_under_a_second(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=10_000)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=10_000))
    (batch, *_) = await apps.take(app.redis, BatchRequested, app.worker)
    for first in range(0, 10_000, 500):
        await app.ledger.record(batch, apps.rendered(first, first + 499, done=False))
    started = time.perf_counter()
    cancelled = await app.ledger.cancel(JOB)
    assert time.perf_counter() - started < 1
    assert cancelled is not None
    assert cancelled.stopped_pages == 10_000
    assert await app.redis.zcard(keys.PAGES_QUEUE) == 0


async def test_an_unknown_job_cannot_be_cancelled(app: App[Settings]) -> None:
    assert await app.ledger.cancel("local/nobody") is None


async def test_few_pages_wait_in_the_stream_and_a_newcomer_is_next(app: App[Settings]) -> None:
    await apps.ready_pages(app, "local/book", pages=100)
    waiting = (await fleet.streams(app.redis))[2].waiting
    assert 1 <= waiting <= 64
    queued = (await fleet.streams(app.redis))[2].queued
    assert queued == 100 - waiting
    await apps.ready_pages(app, "local/note", pages=1)
    seen: list[str] = []
    while entries := await apps.take(app.redis, PageRequested, app.worker, count=1):
        seen += [entry.fact.job for entry in entries]
        await app.ledger.record(entries[0], read())
    assert seen.index("local/note") <= waiting + 10


async def test_two_books_take_turns(app: App[Settings]) -> None:
    for book in ("local/a", "local/b"):
        await apps.ready_pages(app, book, pages=60)
    order: list[str] = []
    while entries := await apps.take(app.redis, PageRequested, app.worker, count=1):
        order.append(entries[0].fact.job)
        await app.ledger.record(entries[0], read())
    middle = order[40:80]
    assert 15 <= middle.count("local/a") <= 25


async def test_rendering_does_not_run_away_from_reading(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2000)
    job = await the_job(app)
    rendered = await app.redis.hlen(keys.rendered(JOB))
    assert job.pages == 2000
    assert rendered <= 25 + 2 * 64 + 2 * 25
    await read_all(app)
    assert await app.redis.hlen(keys.rendered(JOB)) > 0


async def test_groups_are_made_again_where_the_server_lost_them(app: App[Settings]) -> None:
    await app.redis.flushdb()
    await app.ledger.prepare()
    await app.ledger.prepare()
    assert [await app.redis.exists(fact.stream) for fact in FACTS] == [1] * len(FACTS)


async def test_a_flushed_script_cache_costs_a_round_trip_and_no_more(app: App[Settings]) -> None:
    await app.redis.script_flush()
    await apps.submit(app.ledger)
    assert await app.redis.xlen(DocSubmitted.stream) == 1

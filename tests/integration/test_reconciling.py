"""Reconciling on a real server: a healthy job is never touched, and whatever a job has lost is put back once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.keeper import rounds
from shared import keys
from shared.events import BatchRequested, BatchSummarized, DocSubmitted, PageAnalyzed, PageRequested
from shared.ledger import Entry
from shared.outcomes import BatchDone, DocumentDone, Noted, Planned
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.ledgers import JOB, finish, image, read, read_all, summarise_batches, the_job


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def untouched(app: App[Settings]) -> None:
    """The job needs nothing, and nothing is done to it."""
    before = await image(app.redis)
    assert await Repairs(app.redis).reconcile(JOB) == {}
    assert await image(app.redis) == before


async def put_back(app: App[Settings]) -> dict[str, int]:
    """What is put back; a second time there is nothing left to put back."""
    back = await Repairs(app.redis).reconcile(JOB)
    await untouched(app)
    return back


async def submitted(app: App[Settings], *, pages: int = 5, batch_size: int = 2) -> None:
    await apps.submit(app.ledger, pages=pages, batch_size=batch_size)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=pages))


async def test_a_healthy_job_is_not_touched_at_any_step_of_its_way(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=7, batch_size=2)
    await untouched(app)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await untouched(app)
    await app.ledger.defer(entry, delay_s=0)
    await untouched(app)
    await app.ledger.release()
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=7))
    await untouched(app)
    while batches := await apps.take(app.redis, BatchRequested, app.worker):
        for entry in batches:
            first = entry.fact.batch * 2  # type: ignore[attr-defined]
            await untouched(app)
            await app.ledger.record(entry, apps.rendered(first, first, done=first == 6))
            await untouched(app)
            if first < 6:
                await app.ledger.record(entry, apps.rendered(first + 1, first + 1))
                await untouched(app)
    await _through_the_pages(app)
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        await untouched(app)
        await app.ledger.record(entry, BatchDone(blob="b") if entry.fact.last else Noted())  # type: ignore[attr-defined]
        await untouched(app)
    for entry in await apps.take(app.redis, BatchSummarized, app.worker):
        await untouched(app)
        await app.ledger.record(entry, DocumentDone(blob="d") if entry.fact.last else Noted())  # type: ignore[attr-defined]
        await untouched(app)
    assert (await the_job(app)).status == "partial"


async def _through_the_pages(app: App[Settings]) -> None:
    """Pages that are deferred, given back, taken over, failed and read."""
    seen = 0
    while entries := await apps.take(app.redis, PageRequested, app.worker, count=1):
        seen += 1
        await untouched(app)
        match seen:
            case 1:
                await app.ledger.defer(entries[0], delay_s=60)
            case 2:
                await app.ledger.give_back(entries[0])
            case 3:
                await app.ledger.fail(entries[0], "unreadable")
            case 4:
                await app.ledger.reclaim(entries[0], owner=app.worker, idle_ms=0, crashed=True)
                await app.ledger.record(entries[0], read())
            case _:
                await app.ledger.record(entries[0], read())
        await untouched(app)
        if seen == 6:
            (unit,) = await app.redis.zrange(keys.deferred(PageRequested.stream), 0, -1)
            await app.redis.zadd(keys.deferred(PageRequested.stream), {unit: 0})  # its time has come
            await app.ledger.release()
            await untouched(app)


async def test_a_document_that_nobody_was_told_of_is_told_again(app: App[Settings]) -> None:
    await apps.submit(app.ledger)
    await _lose(app.redis, DocSubmitted.stream)
    assert await put_back(app) == {"plan": 1}
    assert len(await apps.take(app.redis, DocSubmitted, app.worker)) == 1


async def test_pages_that_nothing_holds_are_queued_again_from_their_images(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=30)
    in_hand = await apps.take(app.redis, PageRequested, app.worker, count=2)
    await _drop(app.redis, in_hand[1])  # its entry is gone, and `at` does not know
    waiting = [id_ for id_, _ in await app.redis.xrange(PageRequested.stream) if id_ != in_hand[0].id]
    await app.redis.xdel(PageRequested.stream, waiting[0])
    (unit,) = await app.redis.zrange(keys.PAGES_QUEUE, 0, 0)
    await app.redis.zrem(keys.PAGES_QUEUE, unit)
    assert await put_back(app) == {"page": 3}
    assert await app.ledger.record(in_hand[0], read()) == "recorded"
    assert await read_all(app) == 29
    assert await finish(app) == "completed"
    job = await the_job(app)
    assert (job.done, job.calls) == (30, 30)


async def test_a_page_that_waits_in_the_stream_unnamed_is_named_and_not_asked_twice(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    await app.redis.delete(keys.PAGES_AT)
    assert await put_back(app) == {"page": 1}
    assert await app.redis.xlen(PageRequested.stream) == 1
    assert await read_all(app) == 1


async def test_batches_that_nobody_will_render_are_requested_again(app: App[Settings]) -> None:
    await submitted(app, pages=9)
    lost = await apps.take(app.redis, BatchRequested, app.worker)
    assert len(lost) == 2
    for entry in lost:
        await _drop(app.redis, entry)
    assert await put_back(app) == {"rendering": 2}
    await _render_all(app)
    assert await read_all(app) == 9
    assert await finish(app) == "completed"


async def test_a_job_that_lost_its_turn_among_those_that_wait_gets_another(app: App[Settings]) -> None:
    await submitted(app, pages=9)
    await app.redis.zrem(keys.BATCHES_QUEUE, JOB)
    assert await put_back(app) == {"rendering": 3}
    await _render_all(app)
    assert await read_all(app) == 9


async def test_a_batch_whose_summary_nobody_was_told_to_write_is_told_again(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=5, batch_size=2)
    await read_all(app, failing={4})
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        await _drop(app.redis, entry)
    assert await put_back(app) == {"batch summary": 3}
    assert await finish(app) == "partial"
    assert (await the_job(app)).batches_done == 3


async def test_a_document_whose_summary_nobody_was_told_to_write_is_told_again(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=5, batch_size=2)
    await read_all(app)
    await summarise_batches(app)
    for entry in await apps.take(app.redis, BatchSummarized, app.worker):
        await _drop(app.redis, entry)
    assert await put_back(app) == {"summary": 1}
    assert await finish(app) == "completed"


async def test_a_wrong_count_of_pages_that_are_ready_is_set_right(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=3)
    await app.redis.hset(keys.PAGES_READY, JOB, 900)
    assert await put_back(app) == {"count": 1}
    assert await app.redis.hget(keys.PAGES_READY, JOB) == "3"


async def test_nothing_is_concluded_from_a_stream_too_long_to_be_looked_through(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    await read_all(app)
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        await _drop(app.redis, entry)
    for number in range(1001):
        await app.redis.xadd(PageAnalyzed.stream, {"job": f"local/{number}", "run": "r"})
    await untouched(app)


async def test_a_book_is_looked_through_piece_by_piece(app: App[Settings]) -> None:
    await submitted(app, pages=1201, batch_size=25)
    (batch, *_) = await apps.take(app.redis, BatchRequested, app.worker)
    for first in range(0, 1201, 400):
        await app.ledger.record(batch, apps.rendered(first, min(first + 400, 1201) - 1, done=False))
    units = [f"{JOB}:{ordinal}" for ordinal in (300, 700, 1200)]
    assert await app.redis.zrem(keys.PAGES_QUEUE, *units) == 3
    assert await put_back(app) == {"page": 3}


async def test_the_keeper_looks_after_jobs_that_are_old_enough(app: App[Settings]) -> None:
    for ref in ("local/old", "local/young"):
        await apps.submit(app.ledger, ref)
    await _lose(app.redis, DocSubmitted.stream)
    await app.redis.zincrby(keys.ACTIVE, -120_000, "local/old")
    counted = REGISTRY.get_sample_value("quire_reconciled_total", {"what": "plan"}) or 0
    keeper = rounds.Reconciler(app.redis)
    assert [await keeper.round() for _ in "ab"] == [1, 0]
    assert [entry.fact.job for entry in await apps.take(app.redis, DocSubmitted, app.worker)] == ["local/old"]
    assert REGISTRY.get_sample_value("quire_reconciled_total", {"what": "plan"}) == counted + 1


async def test_a_job_that_is_gone_is_looked_after_no_more(app: App[Settings]) -> None:
    await app.redis.zadd(keys.ACTIVE, {JOB: 1})
    assert await Repairs(app.redis).reconcile(JOB) == {}
    assert await app.redis.zcard(keys.ACTIVE) == 0


async def test_the_name_of_a_page_goes_when_its_job_has_ended_and_its_entry_is_gone(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    name, other = await apps.take(app.redis, PageRequested, app.worker)
    names = dict(await app.redis.hgetall(keys.PAGES_AT))
    await app.ledger.cancel(JOB)
    await app.redis.hset(keys.PAGES_AT, mapping=names)  # as a release did whose zombies put them back
    await apps.ready_pages(app, "local/open", pages=1)
    assert await rounds.forget_pages(app.redis) == len({name.fact.unit, other.fact.unit})
    assert list(await app.redis.hkeys(keys.PAGES_AT)) == ["local/open:0"]
    assert await rounds.forget_pages(app.redis) == 0


async def _render_all(app: App[Settings]) -> None:
    job = await the_job(app)
    while batches := await apps.take(app.redis, BatchRequested, app.worker):
        for entry in batches:
            ordinals = job.batch_ordinals(entry.fact.batch)  # type: ignore[attr-defined]
            await app.ledger.record(entry, apps.rendered(ordinals[0], ordinals[-1]))


async def _drop(redis: Redis, entry: Entry) -> None:
    """An entry is lost, as no script would lose it."""
    await redis.xack(entry.fact.stream, entry.fact.group, entry.id)
    await redis.xdel(entry.fact.stream, entry.id)


async def _lose(redis: Redis, stream: str) -> None:
    await redis.xtrim(stream, maxlen=0, approximate=False)

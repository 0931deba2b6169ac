"""The consumer's promises, on a real server, with leases of half a second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.consumer import Stage
from shared.errors import Gone, Refused, RetryLater, Stop
from shared.events import BatchRequested, DocSubmitted, PageAnalyzed, PageRequested
from shared.lease import Leases
from shared.ledger import Entry, Ledger
from shared.limiter import Limiter, Result
from shared.outcomes import Outcome, PageRead, Planned, Rendered, Usage
from shared.service import App
from shared.settings import Settings
from shared.suspects import Suspects
from shared.work import Work
from tests import apps
from tests.conftest import eventually

JOB = "local/one"
LEASE_S = 0.5


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path, lease_s=LEASE_S, grace_s=5, max_attempts=3) as made:
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries twenty times as often as in earnest; server and worker count as settled."""
    monkeypatch.setattr("shared.bus.BLOCK_MS", 100)
    monkeypatch.setattr("shared.reclaim.SETTLING", 0)
    monkeypatch.setattr("shared.reclaim.STEADY", 0)
    monkeypatch.setattr("shared.retry.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("shared.work.SUSPECT_WAIT_S", 0.05)


async def read(_: PageRequested) -> PageRead:
    return PageRead(blob="blob", usage=Usage(calls=1))


async def done(app: App[Settings], job: str = JOB) -> int:
    found = await app.jobs.get(job)
    return found.ended_pages if found else -1


async def kick(app: App[Settings]) -> None:
    """What the keeper does, as often as the test needs it."""
    while not app.stop.is_set():
        await app.ledger.release()
        await asyncio.sleep(0.02)


async def test_every_page_is_handled_and_recorded_once(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=100)
    seen: Counter[int] = Counter()

    async def handle(fact: PageRequested) -> PageRead:
        seen[fact.page] += 1
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=16)):
        await eventually(lambda: done(app), until=lambda n: n == 100)
    assert seen == Counter(range(1, 101))
    assert await app.redis.xlen(PageRequested.stream) == 0


async def test_no_more_is_held_than_there_are_slots(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=25)
    held, most = 0, 0

    async def handle(fact: PageRequested) -> PageRead:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0.01)
        held -= 1
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=5)):
        await eventually(lambda: done(app), until=lambda n: n == 25)
    assert most == 5


async def test_a_handler_may_report_several_times(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=3)

    async def plan(_: DocSubmitted) -> Planned:
        return Planned(pages=3)

    async def render(_: BatchRequested) -> AsyncGenerator[Outcome, None]:
        yield apps.rendered(0, 0, done=False)
        yield apps.rendered(1, 2)

    stages = (
        Stage(DocSubmitted, plan, slots=1),
        Stage(BatchRequested, render, slots=1),
        Stage(PageRequested, read, slots=4),
    )
    async with apps.consuming(app, *stages):
        await eventually(lambda: done(app), until=lambda n: n == 3)


async def test_work_longer_than_the_lease_is_not_taken_from_a_live_worker(app: App[Settings], tmp_path: Path) -> None:
    await apps.ready_pages(app, pages=1)
    calls = Counter[str]()

    async def slow(fact: PageRequested) -> PageRead:
        calls["slow"] += 1
        await asyncio.sleep(LEASE_S * 4)
        return await read(fact)

    async def thief(fact: PageRequested) -> PageRead:
        calls["thief"] += 1
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, slow, slots=2)):
        await eventually(lambda: _in_hand(app.redis), until=lambda n: n == 1)
        async with (
            apps.app(app.settings.redis_url, tmp_path, lease_s=LEASE_S) as other,
            apps.consuming(other, Stage(PageRequested, thief, slots=2)),
        ):
            await eventually(lambda: done(app), until=lambda n: n == 1)
    assert calls == {"slow": 1}


async def _in_hand(redis: Redis) -> int:
    return int((await redis.xpending(PageRequested.stream, PageRequested.group))["pending"])


async def test_a_dead_workers_pages_are_taken_over(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=10)
    dead = await apps.take(app.redis, PageRequested, "dead-worker")
    assert len(dead) >= 4
    async with apps.consuming(app, Stage(PageRequested, read, slots=8)):
        kicker = asyncio.create_task(kick(app))
        await eventually(lambda: done(app), until=lambda n: n == 10)
    await kicker


async def test_a_busy_worker_takes_over_before_it_reads_anything_new(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=100)
    dead = {entry.id for entry in await apps.take(app.redis, PageRequested, "dead-worker", count=4)}
    order: list[bool] = []

    async def handle(fact: PageRequested) -> PageRead:
        order.append(bool(fact.crashes))
        await asyncio.sleep(0.1)
        return await read(fact)

    await asyncio.sleep(LEASE_S)
    async with apps.consuming(app, Stage(PageRequested, handle, slots=2)):
        await eventually(lambda: done(app), until=lambda n: n >= 20)
    assert len(dead) == order.count(True) == 4
    assert order.index(True) <= 4
    assert order[:12].count(True) == 4  # two slots, and still not behind the 96 that wait


async def test_an_entry_whose_reply_was_lost_is_found_though_its_owner_lives(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    await apps.take(app.redis, PageRequested, app.worker)  # read in this worker's name, and unknown to it
    async with apps.consuming(app, Stage(PageRequested, read, slots=2)):
        await eventually(lambda: done(app), until=lambda n: n == 1)
    assert not await app.redis.exists(keys.crashes(JOB))


async def test_stale_entries_behind_many_live_ones_are_found(app: App[Settings], redis: Redis) -> None:
    fact = PageRequested(job="local/ghost", run="r", ordinal=0, page=1, image="i")
    for _ in range(300):
        await redis.xadd(fact.stream, fact.to_fields())  # type: ignore[arg-type]
    await redis.xreadgroup(fact.group, "alive", {fact.stream: ">"}, count=299)
    ((_, ((stale, _),)),) = await redis.xreadgroup(fact.group, "dead", {fact.stream: ">"}, count=10)
    await asyncio.sleep(LEASE_S)
    rows = await redis.xpending_range(fact.stream, fact.group, "-", "+", 299, consumername="alive")
    await redis.xclaim(fact.stream, fact.group, "alive", 0, [row["message_id"] for row in rows], justid=True)
    taken: list[str] = []

    async def gone(fact: PageRequested) -> PageRead:
        raise Gone("no such job")

    async with apps.consuming(app, Stage(PageRequested, gone, slots=2)):

        async def claimed() -> bool:
            return not await redis.xrange(fact.stream, stale, stale)

        await eventually(claimed, within_s=2)
    assert taken == []


async def test_a_worker_that_lost_its_lease_stops_that_work_and_no_other(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    ended: list[tuple[int, str]] = []

    async def handle(fact: PageRequested) -> PageRead:
        try:
            await asyncio.sleep(LEASE_S * 2)
        except asyncio.CancelledError:
            ended.append((fact.page, "stopped"))
            raise
        ended.append((fact.page, "read"))
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=3)):
        await eventually(lambda: _in_hand(app.redis), until=lambda n: n == 2)
        (first, _), _ = await app.redis.xrange(PageRequested.stream)
        await app.redis.xclaim(PageRequested.stream, PageRequested.group, "thief", 0, [first], justid=True)

        async def two() -> int:
            return len(ended)

        await eventually(two, until=lambda n: n == 2)
    assert ended[:2] == [(1, "stopped"), (2, "read")]  # the thief never works: page 1 comes back, third


async def test_a_retry_waits_outside_the_stream_and_is_counted(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    attempts: list[int] = []

    async def handle(fact: PageRequested) -> PageRead:
        attempts.append(fact.attempts)
        if len(attempts) < 3:
            raise RetryLater("the model answered 503")
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=2)):
        kicker = asyncio.create_task(kick(app))
        await eventually(lambda: done(app), until=lambda n: n == 1)
    await kicker
    assert attempts == [0, 1, 2]


@pytest.mark.parametrize(
    ("error", "tries", "reason"),
    [
        (RetryLater("the model answered 503"), 3, "given up after 3 tries: the model answered 503"),
        (Refused("the model refused the page"), 1, "the model refused the page"),
        (ZeroDivisionError("a bug"), 3, "given up after 3 tries: ZeroDivisionError: a bug"),
    ],
)
async def test_a_page_that_fails_for_good_is_a_gap(
    app: App[Settings], error: Exception, tries: int, reason: str
) -> None:
    await apps.ready_pages(app, pages=1)
    calls = 0

    async def handle(_: PageRequested) -> PageRead:
        nonlocal calls
        calls += 1
        raise error

    async with apps.consuming(app, Stage(PageRequested, handle, slots=2)):
        kicker = asyncio.create_task(kick(app))
        await eventually(lambda: done(app), until=lambda n: n == 1)
    await kicker
    job = await app.jobs.get(JOB)
    assert job is not None
    assert calls == tries
    assert [gap.reason for gap in await app.jobs.gaps(job)] == [reason]


@pytest.mark.parametrize("error", [RetryLater("429", after=0.01, counted=False), Stop("401")])
async def test_a_busy_or_stopped_model_uses_no_attempt(
    app: App[Settings], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.retry.STOP_PAUSE_S", 0.01)
    await apps.ready_pages(app, pages=1)
    attempts: list[int] = []

    async def handle(fact: PageRequested) -> PageRead:
        attempts.append(fact.attempts)
        if len(attempts) <= 10:
            raise error
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=2)):
        kicker = asyncio.create_task(kick(app))
        await eventually(lambda: done(app), until=lambda n: n == 1)
    await kicker
    assert attempts == [0] * 11


async def test_cancel_aborts_what_is_in_hand_within_two_seconds(app: App[Settings]) -> None:
    run = await apps.ready_pages(app, pages=3)
    begun: list[int] = []
    aborted: list[float] = []

    async def handle(fact: PageRequested) -> PageRead:
        await app.control.clear(fact.job, fact.run)
        begun.append(fact.page)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            aborted.append(time.monotonic())
            raise
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=8)):

        async def calls() -> int:
            return len(begun)

        await eventually(calls, until=lambda n: n == 3)
        await app.ledger.cancel(JOB)
        await app.control.announce(app.redis, "cancel", JOB, run)
        announced = time.monotonic()

        async def all_aborted() -> int:
            return len(aborted)

        await eventually(all_aborted, until=lambda n: n == 3, within_s=3)
        assert max(aborted) - announced < 2
        with pytest.raises(Gone):
            await app.control.clear(JOB, run)
    assert await app.redis.xlen(PageRequested.stream) == 0


async def test_work_that_is_ended_before_its_first_step_leaves_nothing_in_hand(app: App[Settings]) -> None:
    """A task that is cancelled before it began would never run, and its entry be renewed for ever."""
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    suspects = Suspects(app.redis, worker=app.worker)
    work = Work(read, ledger=app.ledger, suspects=suspects, max_attempts=3)
    held = Leases(app.ledger, PageRequested, lease_s=LEASE_S).hold(entry)
    held.task = task = asyncio.create_task(work.do(held))  # type: ignore[assignment]  # its answer is looked at here
    held.abort("stop")
    assert await task == "given_back"  # type: ignore[comparison-overlap]
    assert await done(app) == 0
    assert len(await apps.take(app.redis, PageRequested, "another")) == 1


async def test_a_drain_finishes_what_is_in_hand_and_reads_nothing_more(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=25)
    begun = 0

    async def handle(fact: PageRequested) -> PageRead:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.3)
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=5)) as task:
        await eventually(lambda: _in_hand(app.redis), until=lambda n: n == 5)
        app.stop.set()
        await task
    assert await done(app) == begun == 5
    assert await _in_hand(app.redis) == 0


async def test_what_a_drain_cannot_finish_is_given_back_at_once(redis_url: str, tmp_path: Path) -> None:
    async with apps.app(redis_url, tmp_path, grace_s=0.1) as app:
        await apps.ready_pages(app, pages=2)

        async def endless(_: PageRequested) -> PageRead:
            await asyncio.sleep(600)
            raise AssertionError

        async with apps.consuming(app, Stage(PageRequested, endless, slots=3)):
            await eventually(lambda: _in_hand(app.redis), until=lambda n: n == 2)
        again = await apps.take(app.redis, PageRequested, "another")
        assert sorted(entry.fact.page for entry in again) == [1, 2]  # type: ignore[attr-defined]
        assert all(entry.fact.attempts == entry.fact.crashes == 0 for entry in again)


async def test_a_page_whose_workers_died_three_times_is_buried_with_its_reason(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=4)
    await app.redis.hset(keys.crashes(JOB), f"{JOB}:2", 2)
    await apps.take(app.redis, PageRequested, "dead-worker")
    await app.redis.sadd(keys.suspects("dead-worker"), f"{JOB}:2")
    async with apps.consuming(app, Stage(PageRequested, read, slots=8)):
        kicker = asyncio.create_task(kick(app))
        await eventually(lambda: done(app), until=lambda n: n == 4)
    await kicker
    job = await app.jobs.get(JOB)
    assert job is not None
    assert [(gap.page, gap.reason) for gap in await app.jobs.gaps(job)] == [(3, "3 workers died with it in hand")]
    assert job.done == 3


async def test_an_entry_that_is_no_fact_goes_to_the_dead_letters(app: App[Settings]) -> None:
    await app.redis.xadd(PageRequested.stream, {"hello": "world"})
    async with apps.consuming(app, Stage(PageRequested, read, slots=2)):

        async def letters() -> int:
            return int(await app.redis.xlen(keys.dead(PageRequested.stream)))

        await eventually(letters, until=lambda n: n == 1)
    ((_, letter),) = await app.redis.xrange(keys.dead(PageRequested.stream))
    assert letter["hello"] == "world"
    assert "job" in letter["reason"]
    assert await app.redis.xlen(PageRequested.stream) == 0


async def test_pages_are_read_only_as_the_models_limit_allows(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=25)
    limiter = Limiter(app.redis, "model", rpm=600)  # ten a second
    started: list[float] = []

    async def handle(fact: PageRequested) -> PageRead:
        permit = await limiter.acquire()
        started.append(time.monotonic())
        await limiter.settle(permit, Result(kind="ok", tokens=100))
        return await read(fact)

    async with apps.consuming(app, Stage(PageRequested, handle, slots=32, permits=limiter)):
        await eventually(lambda: done(app), until=lambda n: n == 25)
    spans = [sum(1 for other in started if at <= other < at + 1) for at in started]
    assert max(spans) <= 22  # a bucket of one second, and what refills in that second
    assert len(started) == 25


async def test_a_worker_drains_after_so_many_tasks(redis_url: str, tmp_path: Path) -> None:
    async with apps.app(redis_url, tmp_path, max_tasks_per_worker=3) as app:
        await apps.ready_pages(app, pages=10)
        await asyncio.wait_for(app.consume(Stage(PageRequested, read, slots=2)), 10)
        assert 3 <= await done(app) <= 5


async def test_a_zombie_ledger_cannot_fail_what_another_holds(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, "owner")
    assert await Ledger(app.redis, worker="zombie").fail(Entry(id=entry.id, fact=entry.fact), "late") == "not_owner"
    assert await app.redis.xlen(PageAnalyzed.stream) == 0


async def test_the_first_page_is_released_before_its_batch_is_rendered(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=25)
    for entry in await apps.take(app.redis, DocSubmitted, app.worker):
        await app.ledger.record(entry, Planned(pages=25))
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    first: Rendered = apps.rendered(0, 0, done=False)
    await app.ledger.record(batch, first)
    assert [e.fact.page for e in await apps.take(app.redis, PageRequested, "reader")] == [1]  # type: ignore[attr-defined]

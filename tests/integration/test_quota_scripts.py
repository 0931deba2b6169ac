"""The quota scripts by themselves: twice over, with stale numbers, over the end of a day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from shared import backlog, keys, scripts
from shared.events import DocSubmitted, PageRequested
from shared.outcomes import PageRead, Planned, Usage
from tests import apps
from tests.conftest import eventually

DAY = {"day": "1", "used": "90"}


async def call(redis: Redis, name: str, key: str, **arguments: object) -> Any:
    return await scripts.call(redis, scripts.load(name), [key], arguments)


async def reserve(redis: Redis, run: str, wanted: int, *, less: bool = False, limit: int = 100) -> tuple[int, int, int]:
    granted, left, reserved, reset_ms = await call(
        redis, "quota_reserve", keys.quota_pages("k"), run=run, job="t/1", wanted=wanted, limit=limit, less=less
    )
    assert 0 < reset_ms <= 86_400_000
    return granted, left, reserved


async def settle(redis: Redis, run: str, pages: int) -> int | None:
    used: int | None = await call(redis, "quota_settle", keys.quota_pages("k"), run=run, pages=pages)
    return used


async def test_a_bucket_is_full_after_its_burst_and_takes_more_as_it_leaks(redis: Redis) -> None:
    async def ask() -> list[int]:
        answer: list[int] = await call(redis, "quota_rate", keys.quota_rate("k"), rate=2, burst=3)
        return answer

    answers = [await ask() for _ in range(4)]
    assert [answer[0] for answer in answers] == [1, 1, 1, 0]
    assert [answer[1] for answer in answers] == [2, 1, 0, 0]
    assert 0 < answers[3][2] <= 500
    assert 0 < await redis.pttl(keys.quota_rate("k")) <= 1501
    await eventually(ask, until=lambda answer: answer[0] == 1)


async def test_a_refused_request_costs_nothing(redis: Redis) -> None:
    for _ in range(5):
        await call(redis, "quota_rate", keys.quota_rate("k"), rate=0.001, burst=1)
    assert 999_000 < await redis.pttl(keys.quota_rate("k")) <= 1_000_001


async def test_a_job_counts_once(redis: Redis) -> None:
    async def begin(job: str) -> int:
        taken: int = await call(redis, "quota_jobs", keys.quota_jobs("k"), job=job, limit=2)
        return taken

    assert [await begin(job) for job in ("a", "a", "b", "c", "b")] == [1, 1, 1, 0, 1]


async def test_pages_are_reserved_once_a_run_and_counted_when_they_are_settled(redis: Redis) -> None:
    assert await reserve(redis, "r1", 30) == (30, 100, 0)
    assert await reserve(redis, "r1", 30) == (30, 100, 0)
    assert await reserve(redis, "r2", 80) == (0, 70, 30)
    assert await settle(redis, "r1", 10) == 10
    assert await settle(redis, "r1", 10) is None
    assert await settle(redis, "never", 10) is None
    assert await reserve(redis, "r2", 90) == (90, 90, 0)


@pytest.mark.parametrize(("others", "granted"), [(0, 70), (10, 0)])
async def test_fewer_pages_are_granted_only_while_nobody_holds_some_that_may_come_free(
    redis: Redis, others: int, granted: int
) -> None:
    await reserve(redis, "r1", 30)
    await settle(redis, "r1", 30)
    if others:
        await reserve(redis, "r2", others)
    assert await reserve(redis, "r3", 90, less=True) == (granted, 70 - others, others)


async def test_a_new_day_begins_at_nothing_and_an_old_ones_pages_do_not_count_in_it(redis: Redis) -> None:
    await reserve(redis, "late", 30)
    late = (await redis.hget(keys.quota_pages("k"), "r:late")).replace('"day":', '"day":1')
    await redis.hset(keys.quota_pages("k"), mapping={**DAY, "r:late": late})
    assert await reserve(redis, "r1", 20) == (20, 70, 30)  # what is held may still be counted
    assert await settle(redis, "late", 30) == 0
    assert await reserve(redis, "r2", 80) == (80, 80, 20)


async def test_reservations_that_pile_up_end_in_a_refusal(redis: Redis) -> None:
    granted = [(await reserve(redis, str(run), 1, limit=1000))[0] for run in range(201)]
    assert granted == [1] * 200 + [0]


async def test_the_backlog_counts_every_page_that_is_still_to_be_read(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    async def counted() -> int:
        return await backlog.pages(redis, batch_size=25, uncounted=50)

    async with apps.app(redis_url, tmp_path) as app:
        await app.ledger.prepare()
        await apps.submit(app.ledger, "local/new", pages=500)
        assert await counted() == 50
        await app.ledger.cancel("local/new")
        (gone,) = await apps.take(redis, DocSubmitted, app.worker)
        await app.ledger.record(gone, Planned(pages=500))
        assert await counted() == 0
        await apps.ready_pages(app, "local/book", pages=60)
        assert await counted() == 60
        first, *_ = await apps.take(redis, PageRequested, app.worker)
        assert await counted() == 60
        await app.ledger.record(first, PageRead(blob="b", usage=Usage()))
        assert await counted() == 59
        await app.ledger.cancel("local/book")
        assert await counted() == 0

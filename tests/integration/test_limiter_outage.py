"""An outage of the model, as the limiter sees it: when it begins, who probes, what counts, when it is over."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.limiter import Limiter, Permit, Result, carry
from tests.conftest import eventually
from tests.integration.test_limiter import DOWN, OK, open_limiter

KEY = keys.limiter("model")


@pytest.fixture(autouse=True)
def no_permit() -> None:
    carry(None)


async def ago(redis: Redis, seconds: float, *fields: str) -> None:
    """These moments were so long ago."""
    for field in fields:
        await redis.hset(KEY, field, int((time.time() - seconds) * 1000))


async def probe(redis: Redis, limiter: Limiter) -> Permit:
    """The next probe, whose time has come."""
    await redis.hset(KEY, "probe_at", 0)
    (permit,) = (await limiter.take(64)).permits
    assert permit.probe
    return permit


async def down(redis: Redis) -> Limiter:
    """A model that has just gone down."""
    limiter = await open_limiter(redis)
    for permit in (await limiter.take(5)).permits:
        await limiter.settle(permit, DOWN)
    return limiter


async def test_a_fleet_that_never_had_an_answer_blames_no_page(redis: Redis) -> None:
    limiter = Limiter(redis, "model")
    (first,) = (await limiter.take(1)).permits
    counted = [await limiter.settle(first, DOWN)]
    counted += [await limiter.settle(await probe(redis, limiter), DOWN) for _ in range(6)]
    assert counted == [False] * 7


async def test_time_outs_that_are_minutes_apart_are_an_outage_all_the_same(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    counted = []
    for _ in range(3):
        (permit,) = (await limiter.take(1)).permits
        await ago(redis, 120, "judged_at")
        counted.append(await limiter.settle(permit, DOWN))
    assert counted == [True, True, False]
    assert (await limiter.take(1)).permits == []


async def test_a_fleet_that_was_fast_notices_an_outage_after_ten_failures_and_counts_two(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    for permit in (await limiter.take(300)).permits:
        await limiter.settle(permit, OK)
    counted = [await limiter.settle(permit, DOWN) for permit in (await limiter.take(10)).permits]
    assert counted == [True, True] + [False] * 8
    assert (await limiter.take(1)).permits == []


async def test_one_page_alone_outlives_twenty_minutes_and_not_an_hour(redis: Redis) -> None:
    limiter, attempts, minutes = await down(redis), 2, 0
    while attempts < 5:
        minutes += 1
        await redis.hincrby(KEY, "down_since", -60_000)
        attempts += await limiter.settle(await probe(redis, limiter), DOWN)
    assert 20 < minutes < 60


async def test_an_unused_permit_from_before_the_outage_shortens_no_wait(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    early = (await limiter.take(5)).permits
    for permit in (await limiter.take(5)).permits:
        await limiter.settle(permit, DOWN)
    waiting = await redis.hget(KEY, "probe_at")
    await limiter.give_back(early[:2])
    await limiter.settle(early[2], Result(kind="cancelled"))
    await limiter.settle(early[3], DOWN)
    assert await redis.hget(KEY, "probe_at") == waiting


async def test_probes_follow_each_other_ever_more_slowly_but_at_most_fifteen_seconds_apart(redis: Redis) -> None:
    limiter, waits = await down(redis), []
    for _ in range(7):
        await limiter.settle(await probe(redis, limiter), DOWN)
        waits.append((await limiter.take(1)).wait_s)
    assert waits == pytest.approx([2, 4, 8, 15, 15, 15, 15], abs=0.5)


async def test_a_server_that_says_when_to_come_again_is_not_probed_before(redis: Redis) -> None:
    limiter = await down(redis)
    await limiter.settle(await probe(redis, limiter), Result(kind="down", retry_after_s=40, reason="503"))
    assert 39 < (await limiter.take(1)).wait_s <= 40


async def test_a_probe_that_takes_its_time_stays_the_only_one(redis: Redis) -> None:
    limiter, over = await down(redis), asyncio.Event()
    permit = await probe(redis, limiter)
    async with asyncio.TaskGroup() as group:
        group.create_task(limiter.extend(permit, over))
        await redis.hset(KEY, "probe_at", 0)  # its five seconds had run out

        async def extended() -> bool:
            return int(await redis.hget(KEY, "probe_at") or 0) > time.time() * 1000

        await eventually(extended)
        assert (await limiter.take(1)).permits == []
        over.set()


async def test_the_probe_of_a_worker_that_dies_is_anothers_within_five_seconds(redis: Redis) -> None:
    limiter = await down(redis)
    dead = await probe(redis, limiter)
    assert (await limiter.take(1)).wait_s <= 2.5, "it may answer any moment"
    assert int(await redis.hget(KEY, "probe_at") or 0) / 1000 - time.time() <= 5
    heir = await probe(redis, limiter)
    over = asyncio.Event()
    over.set()
    await limiter.extend(dead, over)
    await limiter.settle(dead, DOWN)  # it was not dead at all: its word moves the other's turn no more
    assert int(await redis.hget(KEY, "probe") or 0) == heir.probe
    await limiter.settle(heir, OK)
    assert len((await limiter.take(64)).permits) == 64


async def test_who_only_looks_leaves_the_probe_to_who_has_a_call_to_make(redis: Redis) -> None:
    limiter = await down(redis)
    await redis.hset(KEY, "probe_at", 0)
    for _ in range(3):
        grant = await limiter.take(1, looking=True)
        assert (grant.permits, grant.wait_s, grant.probe_wanted) == ([], 0, True)
    assert (await limiter.acquire()).probe
    assert not (await limiter.take(1, looking=True)).probe_wanted

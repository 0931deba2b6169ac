"""The model's limits are the fleet's: the limiter on a real server, as several workers see it."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from shared import bus, keys
from shared.errors import RetryLater
from shared.limiter import Limiter, Limits, Permit, Result, carry
from tests.servers import free_port

OK = Result(kind="ok", tokens=100)
DOWN = Result(kind="down", reason="503")


@pytest.fixture(autouse=True)
def no_permit() -> None:
    carry(None)


async def open_limiter(redis: Redis, *, rpm: int = 0, tpm: int = 0) -> Limiter:
    """A limiter whose model has answered before."""
    limiter = Limiter(redis, "model", rpm=rpm, tpm=tpm)
    (permit,) = (await limiter.take(1)).permits
    await limiter.settle(permit, OK)
    return limiter


async def test_before_the_first_answer_the_fleet_sends_one_probe(redis: Redis) -> None:
    workers = [Limiter(redis, "model") for _ in range(3)]
    grants = [await worker.take(64) for worker in workers]
    assert [len(grant.permits) for grant in grants] == [1, 0, 0]
    assert 0 < grants[1].wait_s <= 0.2  # the first answer is mostly a call away: those who wait look often
    await workers[0].settle(grants[0].permits[0], OK)
    assert len((await workers[1].take(64)).permits) == 64


async def test_a_probe_that_was_not_used_is_anothers(redis: Redis) -> None:
    one, two = Limiter(redis, "model"), Limiter(redis, "model")
    grant = await one.take(1)
    await one.give_back(grant.permits)
    assert len((await two.take(1)).permits) == 1


async def test_requests_of_all_workers_stay_under_the_limit_together(redis: Redis) -> None:
    first = await open_limiter(redis, rpm=600)
    workers = [first, Limiter(redis, "model", rpm=600), Limiter(redis, "model", rpm=600)]
    granted, until = 0, time.monotonic() + 1.5
    while time.monotonic() < until:
        for worker in workers:
            granted += len((await worker.take(64)).permits)
        await asyncio.sleep(0.01)
    assert 20 <= granted <= 27  # one second's bucket and one and a half seconds' refill


async def test_tokens_are_set_aside_and_settled_by_what_was_used(redis: Redis) -> None:
    limiter = await open_limiter(redis, tpm=60_000)
    reserved = (await limiter.take(1)).permits[0].reserved
    assert reserved == 100  # the first answer's, before: a guess
    permits = (await limiter.take(64)).permits
    assert len(permits) <= 10  # 1,000 tokens a second
    for permit in permits:
        await limiter.settle(permit, Result(kind="ok", tokens=1000))
    assert (await limiter.take(64)).permits == []
    assert (await limiter.take(1)).wait_s > 5


async def test_limits_are_learnt_from_the_server(redis: Redis) -> None:
    limiter = Limiter(redis, "model")
    (permit,) = (await limiter.take(1)).permits
    await limiter.settle(permit, Result(kind="ok", tokens=10, limits=Limits(rpm=120)))
    assert len((await limiter.take(64)).permits) == 2


async def test_a_429_pauses_the_whole_fleet_for_as_long_as_it_asks(redis: Redis) -> None:
    one = await open_limiter(redis)
    two = Limiter(redis, "model")
    permit = await one.acquire()
    assert await one.settle(permit, Result(kind="busy", retry_after_s=7, reason="rate limit reached"))
    grant = await two.take(5)
    assert grant.permits == []
    assert 6 < grant.wait_s <= 7
    assert grant.why == "rate limit reached"


async def test_many_429s_at_once_are_one_refusal(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    permits = (await limiter.take(50)).permits
    for permit in permits:
        await limiter.settle(permit, Result(kind="busy"))
    assert (await limiter.take(1)).wait_s <= 1


async def test_where_most_calls_fail_no_page_is_to_blame_and_one_probe_goes_out(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    permits = (await limiter.take(20)).permits
    counted = [await limiter.settle(permit, DOWN) for permit in permits]
    assert counted == [True, True] + [False] * 18
    assert len((await limiter.take(64)).permits) <= 1  # one, if a second has gone by: the first probe's time
    await redis.hset(keys.limiter("model"), "probe_at", 0)
    assert len((await limiter.take(64)).permits) == 1
    assert (await limiter.take(64)).permits == []


async def test_an_outage_is_over_with_the_first_answer(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    for permit in (await limiter.take(5)).permits:
        await limiter.settle(permit, DOWN)
    await redis.hset(keys.limiter("model"), "probe_at", 0)
    (probe,) = (await limiter.take(64)).permits
    await limiter.settle(probe, OK)
    assert len((await limiter.take(64)).permits) == 64


async def test_single_failures_among_successes_count(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    permits = (await limiter.take(40)).permits
    counted = [await limiter.settle(p, DOWN if n % 4 == 3 else OK) for n, p in enumerate(permits)]
    assert all(counted)
    assert len((await limiter.take(40)).permits) == 40


async def test_after_a_long_outage_a_probe_counts_again(redis: Redis) -> None:
    """A document that is alone and always fails must end."""
    limiter = await open_limiter(redis)
    for permit in (await limiter.take(5)).permits:
        await limiter.settle(permit, DOWN)
    long_ago = int(time.time() * 1000) - 1_000_000
    await redis.hset(keys.limiter("model"), mapping={"probe_at": 0, "down_since": long_ago})
    (probe,) = (await limiter.take(64)).permits
    assert await limiter.settle(probe, DOWN)


async def test_a_refused_key_stops_the_fleet_until_a_probe_is_answered(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    permit = await limiter.acquire()
    assert not await limiter.settle(permit, Result(kind="stop", reason="401"))
    grant = await limiter.take(64)
    assert (grant.permits, grant.why) == ([], "401")
    await redis.hset(keys.limiter("model"), "probe_at", 0)
    (probe,) = (await limiter.take(64)).permits
    await limiter.settle(probe, OK)
    assert len((await limiter.take(64)).permits) == 64


async def test_the_permit_that_came_with_the_entry_is_used_once(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    (mine,) = (await limiter.take(1)).permits
    carry(mine)
    assert await limiter.acquire() is mine
    assert await limiter.acquire() is not mine


async def test_a_long_wait_is_spent_outside_the_slot(redis: Redis) -> None:
    limiter = await open_limiter(redis)
    await limiter.settle(await limiter.acquire(), Result(kind="busy", retry_after_s=30))
    with pytest.raises(RetryLater) as raised:
        await limiter.acquire()
    assert raised.value.counted is False
    assert raised.value.after is not None
    assert raised.value.after > 29


async def test_a_call_is_settled_as_counted_where_the_server_is_away() -> None:
    """An answer that was paid for is not lost for the sake of the books."""
    async with bus.connect(f"redis://127.0.0.1:{free_port()}") as nobody:
        assert await Limiter(nobody, "model").settle(Permit(reserved=1), OK)


async def test_the_limiters_key_goes_when_nobody_asks_any_more(redis: Redis) -> None:
    await open_limiter(redis)
    assert 3_000 < await redis.ttl(keys.limiter("model")) <= 3_600

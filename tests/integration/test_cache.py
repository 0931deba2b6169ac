"""The same question is paid for once: the cache on a real server, as several workers see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError
from yarl import URL

from shared import bus, keys, metrics
from shared.blobs import Blobs
from shared.cache import Cache
from shared.errors import RetryLater
from shared.events import PageRequested
from shared.outcomes import Usage
from shared.questions import Found, Question
from shared.results import Cited
from tests.conftest import eventually
from tests.proxies import Proxy, proxy
from tests.servers import embedded

QUESTION = Question(answer=Cited, digest="d1")
KEY = keys.cache("d1")
ANSWER = Cited(text="A mill was built.", pages=[7])
USAGE = Usage(calls=1, tokens_in=1200, tokens_out=300, cost_usd=0.001)
BLOB = "jobs/local/one/r1/read/00000-abc.json"


def page(ordinal: int, *, run: str = "r1") -> PageRequested:
    return PageRequested(job="local/one", run=run, ordinal=ordinal, page=ordinal + 1, image="i")


ONE, TWO = page(0), page(1)


class Fleet:
    """Workers by name, each with a cache of its own."""

    def __init__(self, redis: Redis, blobs: Blobs) -> None:
        self.redis = redis
        self.blobs = blobs

    def worker(self, name: str = "w1", *, redis: Redis | None = None, lease_s: float = 30, ttl_s: int = 60) -> Cache:
        return Cache(
            redis or self.redis, what="page", fetch=self.blobs.get, worker=name, lease_s=lease_s, ttl_s=ttl_s
        )  # fmt: skip

    async def answer(self, held: Any, blob: str = BLOB) -> None:
        """What a handler does with an answer that it has paid for."""
        assert held.found is None
        await self.blobs.put(blob, msgspec.json.encode(ANSWER))
        await held.keep(blob, USAGE)

    async def answered(self, fact: PageRequested = ONE, blob: str = BLOB) -> None:
        async with self.worker().claim(QUESTION, fact) as held:
            await self.answer(held, blob)

    async def found(self, fact: PageRequested = TWO, name: str = "w2") -> Found[Cited] | None:
        async with self.worker(name).claim(QUESTION, fact) as held:
            return held.found


@pytest.fixture
def fleet(redis: Redis, tmp_path: Path) -> Fleet:
    return Fleet(redis, Blobs(f"file://{tmp_path}"))


@pytest.fixture
async def claims() -> AsyncIterator[AsyncExitStack]:
    """Ends the claims of a test that are still open."""
    async with AsyncExitStack() as stack:
        yield stack


async def refused(cache: Cache, fact: PageRequested = TWO) -> RetryLater:
    with pytest.raises(RetryLater) as raised:
        async with cache.claim(QUESTION, fact):
            pytest.fail("it was claimed twice")
    return raised.value


async def test_while_a_question_is_asked_another_defers_and_then_finds_the_answer(fleet: Fleet) -> None:
    async with fleet.worker().claim(QUESTION, ONE) as held:
        error = await refused(fleet.worker("w2"))
        assert (error.counted, error.after) == (False, 1)
        await refused(fleet.worker("w1"))  # another page of the same worker, too
        await fleet.answer(held)
        assert await fleet.found() == Found(value=ANSWER, blob=BLOB, own=False)
    assert await fleet.found() == Found(value=ANSWER, blob=BLOB, own=False), "the block's end frees nothing"


async def test_who_defers_waits_no_longer_than_the_claim_holds(fleet: Fleet) -> None:
    async with fleet.worker(lease_s=0.8).claim(QUESTION, ONE):
        error = await refused(fleet.worker("w2"))
        assert error.after is not None
        assert 0 <= error.after <= 0.8


async def test_of_many_that_ask_at_once_one_claims(fleet: Fleet, claims: AsyncExitStack) -> None:
    async def one(ordinal: int) -> str:
        try:
            await claims.enter_async_context(fleet.worker(f"w{ordinal}").claim(QUESTION, page(ordinal)))
        except RetryLater:
            return "busy"
        return "claimed"

    ends = await asyncio.gather(*map(one, range(20)))
    assert sorted(ends) == ["busy"] * 19 + ["claimed"]


async def test_a_page_that_another_worker_took_over_claims_again(fleet: Fleet, claims: AsyncExitStack) -> None:
    await claims.enter_async_context(fleet.worker("dead").claim(QUESTION, ONE))
    async with fleet.worker("heir").claim(QUESTION, ONE) as held:
        assert held.found is None
        await refused(fleet.worker("w2"))
    assert await fleet.redis.exists(KEY) == 0, "the claim was the heir's"


async def test_a_block_that_fails_or_is_cancelled_frees_its_claim(fleet: Fleet) -> None:
    async def fail() -> None:
        async with fleet.worker().claim(QUESTION, ONE):
            raise RetryLater("503")

    with pytest.raises(RetryLater, match="503"):
        await fail()
    assert await fleet.redis.exists(KEY) == 0

    async def hang() -> None:
        async with fleet.worker().claim(QUESTION, ONE):
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await eventually(lambda: fleet.redis.exists(KEY))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await fleet.redis.exists(KEY) == 0
    assert await fleet.found() is None


async def test_a_claim_holds_as_long_as_its_block_runs(fleet: Fleet) -> None:
    async with fleet.worker(lease_s=0.5).claim(QUESTION, ONE):
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            await refused(fleet.worker("w2"))
            await asyncio.sleep(0.01)


async def test_a_dead_workers_claim_runs_out(fleet: Fleet) -> None:
    """Nobody renews what a killed process held."""
    await fleet.redis.set(KEY, '{"claim":"r1:local/one:0","worker":"dead"}', px=500)
    await refused(fleet.worker("w2"))

    async def claimed() -> bool:
        try:
            return await fleet.found() is None
        except RetryLater:
            return False

    await eventually(claimed, within_s=2)


async def test_a_claim_that_was_lost_is_not_renewed_nor_freed_by_who_lost_it(
    fleet: Fleet, claims: AsyncExitStack
) -> None:
    async with fleet.worker("slow", lease_s=0.2).claim(QUESTION, ONE):
        await fleet.redis.delete(KEY)  # it ran out: the process was paused
        await claims.enter_async_context(fleet.worker("w2", lease_s=20).claim(QUESTION, TWO))
        until = time.monotonic() + 0.3
        while time.monotonic() < until:  # several renewals of the slow one's
            assert await fleet.redis.pttl(KEY) > 10_000, "it was cut to 200 ms"
            await asyncio.sleep(0.01)
    await refused(fleet.worker("w3"), page(2))


async def test_the_answer_of_who_lost_its_claim_is_kept_for_all(fleet: Fleet) -> None:
    async with fleet.worker("slow").claim(QUESTION, ONE) as slow:
        await fleet.redis.delete(KEY)
        async with fleet.worker("w2").claim(QUESTION, TWO) as held:
            await fleet.answer(slow)
            assert await fleet.found(page(2)) == Found(value=ANSWER, blob=BLOB, own=False)
            await fleet.answer(held, "jobs/local/one/r1/read/00001-def.json")
    found = await fleet.found(page(2))
    assert found is not None
    assert found.blob == BLOB, "the first answer stays"


@pytest.mark.parametrize("broken", [None, b"", b'{"text": 1}', b"\xff\xfe"])
async def test_an_answer_whose_blob_is_gone_or_broken_is_asked_for_again_by_one(
    fleet: Fleet, broken: bytes | None
) -> None:
    await fleet.answered()
    await (fleet.blobs.delete([BLOB]) if broken is None else fleet.blobs.put(BLOB, broken))
    async with fleet.worker("w2").claim(QUESTION, TWO) as held:
        await refused(fleet.worker("w3"), page(2))
        await fleet.answer(held, "jobs/local/one/r1/read/00001-def.json")
    assert await fleet.found(page(2)) == Found(value=ANSWER, blob="jobs/local/one/r1/read/00001-def.json", own=False)


async def test_an_answer_is_its_own_pages_again_with_what_it_cost_until_it_is_recorded(fleet: Fleet) -> None:
    await fleet.answered()
    assert await fleet.found(ONE) == Found(value=ANSWER, blob=BLOB, own=True, usage=USAGE)
    assert await fleet.found(page(0, run="r2")) == Found(value=ANSWER, blob=BLOB, own=False)


async def test_redis_holds_where_an_answer_lies_and_nothing_of_it_for_its_time(fleet: Fleet) -> None:
    await fleet.answered()
    value = await fleet.redis.get(KEY)
    assert msgspec.json.decode(value) == {
        "blob": BLOB,
        "unit": "r1:local/one:0",
        "usage": msgspec.to_builtins(USAGE),
    }
    assert "mill" not in value
    assert len(value) < 256
    assert 59_000 < await fleet.redis.pttl(KEY) <= 60_000


async def test_a_cache_without_a_time_finds_and_keeps_nothing(fleet: Fleet) -> None:
    for _ in range(2):
        async with fleet.worker(ttl_s=0).claim(QUESTION, ONE) as held:
            await fleet.answer(held)
    assert await fleet.redis.keys("cache:*") == []


async def test_look_ups_are_counted_by_their_result(fleet: Fleet) -> None:
    def counted() -> list[float]:
        return [metrics.CACHE.labels("page", result)._value.get() for result in metrics.CACHE_RESULTS]

    before = counted()
    async with fleet.worker().claim(QUESTION, ONE) as held:
        await refused(fleet.worker("w2"))
        await refused(fleet.worker("w3"))
        await fleet.answer(held)
    await fleet.found()
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 2]


# A server that is away --------------------------------------------------------------------------------------------


@asynccontextmanager
async def through(url: str) -> AsyncIterator[tuple[Proxy, Redis]]:
    """A proxy before the server, and a client that knows no other way."""
    async with proxy(URL(url).port or 6379) as between:
        way = URL(url).with_host("127.0.0.1").with_port(between.port)
        async with bus.connect(str(way)) as redis:
            yield between, redis


async def test_a_claim_whose_reply_was_lost_is_claimed_again_by_the_same_page(fleet: Fleet, redis_url: str) -> None:
    async with through(redis_url) as (between, redis):
        between.drop_replies(1, to=lambda request: b"cache:" in request)
        with pytest.raises(RedisError):
            async with fleet.worker(redis=redis).claim(QUESTION, ONE):
                pytest.fail("nobody knew of the claim")
        await refused(fleet.worker("w2"))
        async with fleet.worker(redis=redis).claim(QUESTION, ONE) as held:
            assert held.found is None


async def test_an_answer_that_cannot_be_kept_is_used_all_the_same(fleet: Fleet, redis_url: str) -> None:
    async with through(redis_url) as (between, redis):
        async with fleet.worker(redis=redis).claim(QUESTION, ONE) as held:
            between.mode = "refuse"
            between.reset_all()
            await fleet.answer(held)
        assert held.found is None
    await refused(fleet.worker("w2"))  # its claim runs out by itself


async def test_a_server_that_is_full_still_lets_pages_be_read_once(tmp_path: Path) -> None:
    with embedded() as url:
        async with bus.connect(url) as redis:
            await redis.config_set("maxmemory", 1)
            with pytest.raises(OutOfMemoryError):
                await redis.set("more", "1")
            fleet = Fleet(redis, Blobs(f"file://{tmp_path}"))
            async with fleet.worker().claim(QUESTION, ONE) as held:
                await refused(fleet.worker("w2"))
                await fleet.answer(held)
            assert await fleet.found() == Found(value=ANSWER, blob=BLOB, own=False)

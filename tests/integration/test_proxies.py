"""The proxy breaks what it is told to, and nothing else."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.proxies import Proxy, proxy


def _client(through: Proxy) -> Redis:
    return Redis(port=through.port, decode_responses=True, socket_timeout=0.3, retry=Retry(NoBackoff(), 0))


async def test_a_lost_reply_means_executed_and_unanswered(redis: Redis) -> None:
    target = redis.connection_pool.connection_kwargs["port"]
    async with proxy(target) as between, _client(between) as client:
        assert await client.incr("n") == 1
        between.drop_replies(1, to=lambda request: b"INCR" in request)
        with pytest.raises(RedisConnectionError):
            await client.incr("n")
        assert between.dropped == 1
        assert await client.get("n") == "2"


async def test_a_black_hole_answers_nothing_and_a_reset_ends_all(redis: Redis) -> None:
    target = redis.connection_pool.connection_kwargs["port"]
    async with proxy(target) as between, _client(between) as client:
        await client.ping()
        between.mode = "black_hole"
        with pytest.raises(RedisTimeoutError):
            await client.incr("n")
        assert await redis.get("n") is None
        between.mode = "pass"
        await client.ping()
        assert between.reset_all() == 1
        with pytest.raises(RedisConnectionError):
            await client.ping()
        between.mode = "refuse"
        with pytest.raises(RedisConnectionError):
            await client.ping()

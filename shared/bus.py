"""Connections to the Redis-protocol server. Whether it is fit to be worked with is `shared/fitness.py`.

redis-py 8.1 can lose a cancellation that arrives while it connects (measured on both event loops): loops that use a
connection end by an event, never by cancellation alone.

Two kinds of client: a pool for commands, and a connection of its own for each blocking reader. Neither repeats a
command by itself: a write that is repeated blindly happens twice (measured). The ledger knows what may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.connections import telling

log = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK_MS = 1000
"""How long a reader blocks: also how long a drain waits for it, because a blocked read is never cancelled."""
SOCKET_TIMEOUT_S = BLOCK_MS / 1000 + 5
"""Above BLOCK: redis-py does not add the blocking time (redis-py#2807)."""
POOL = 16


class RedisUnfit(Exception):
    """The server can't be worked with until a person acts. The message says why and what to do."""


def _options() -> dict[str, Any]:
    return {
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Redis]:
    """A client for commands, up to POOL at once; others wait for a connection. Raises RedisUnfit for a bad URL."""
    try:
        pool = BlockingConnectionPool.from_url(url, max_connections=POOL, timeout=SOCKET_TIMEOUT_S, **_options())
    except ValueError as error:
        raise RedisUnfit(f"REDIS_URL: {url.rpartition('@')[2]!r} can't be read: {error}") from error
    telling(pool)
    client = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[Redis]:
    """A client with one connection of its own, for a read that blocks."""
    client = Redis.from_url(url, single_connection_client=True, **_options())
    telling(client.connection_pool)
    try:
        yield client
    finally:
        await client.aclose()


async def patiently(ask: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """What the server answers, as soon as it does: it may be away, or its memory full. None where `stop` came first."""
    while not stop.is_set():
        try:
            return await ask()
        except (RedisError, OSError) as error:
            log.warning("waiting for Redis: %s", error, extra={"action": "redis_wait"})
            await asyncio.sleep(0.5)
    return None


async def ailments(redis: Redis) -> list[str]:
    """A sentence if the server does not answer."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return [f"Redis does not answer: {error}"]
    return []

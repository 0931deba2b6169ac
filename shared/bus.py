"""Connections to the Redis-protocol server, and whether it is fit to be worked with.

redis-py 8.1 can lose a cancellation that arrives while it connects (measured on both event loops): loops that use a
connection end by an event, never by cancellation alone.

Two kinds of client: a pool for commands, and a connection of its own for each blocking reader. Neither repeats a
command by itself: a write that is repeated blindly happens twice (measured). The ledger knows what may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.connections import telling

log = logging.getLogger(__name__)

BLOCK_MS = 1000
"""How long a reader blocks: also how long a drain waits for it, because a blocked read is never cancelled."""
SOCKET_TIMEOUT_S = BLOCK_MS / 1000 + 5
"""Above BLOCK: redis-py does not add the blocking time (redis-py#2807)."""
POOL = 16
OLDEST = (7, 0)
"""XAUTOCLAIM that clears deleted entries, shebang flags of scripts."""


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


async def wait_until_fit(redis: Redis, stop: asyncio.Event) -> None:
    """Return when the server answers and can be worked with; a server that is still starting is waited for.

    Raises RedisUnfit for a wrong password, a server that is too old, a read-only replica, a cluster, or one that would
    evict our keys.
    """
    while not stop.is_set():
        try:
            await _check(redis)
        except AuthenticationError as error:
            raise RedisUnfit(f"Redis refuses the password in REDIS_URL: {error}") from error
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.warning("waiting for Redis: %s", error, extra={"action": "redis_wait"})
            await asyncio.sleep(0.5)
        except ResponseError as error:
            if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
                raise RedisUnfit(f"Redis asks for a password; put it into REDIS_URL: {error}") from error
            raise
        else:
            return


async def _check(redis: Redis) -> None:
    info = await redis.info()
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise RedisUnfit(f"Redis {info['redis_version']} is too old: Quire needs 7.0 or Valkey 8.0, or newer")
    if info.get("role") == "slave":
        raise RedisUnfit("REDIS_URL names a read-only replica: name its primary")
    if info.get("cluster_enabled") == 1:
        raise RedisUnfit("REDIS_URL names a cluster node: this release works with a single server")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", 0) and policy != "noeviction":
        raise RedisUnfit(f"Redis may evict work: maxmemory-policy is {policy}; set it to noeviction")


async def ailments(redis: Redis) -> list[str]:
    """A sentence if the server does not answer."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return [f"Redis does not answer: {error}"]
    return []


async def warnings(redis: Redis) -> list[str]:
    """Sentences on a server that works but keeps its promises only in part."""
    info = await redis.info("persistence")
    if info.get("aof_enabled") != 1:
        return ["Redis has no append-only file: what was accepted is lost when it crashes (set appendonly yes)"]
    if info.get("aof_last_write_status") == "err":
        return ["Redis cannot write its append-only file: look at its disk and its log"]
    return []

"""What an answered write is worth: whether it survives a crash of the server, and how that is made sure of.

`appendfsync always` needs nothing more. Elsewhere WAITAOF waits for the disk, but only where it is truthful: Valkey 9.1
with `everysec` answers before the fsync, Redis 8.2 does not (both measured). So the server is tried at start.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from shared import keys
from shared.ledger import Ledger

Mode = Literal["always", "waited", "everysec", "none"]

SAYS: dict[Mode, str] = {
    "always": "an answered request is on Redis' disk (appendfsync always)",
    "waited": "an answered request is on Redis' disk (WAITAOF)",
    "everysec": "a crash of Redis may lose the last second (appendfsync everysec, and no truthful WAITAOF)",
    "none": "a crash of Redis loses everything (no append-only file)",
}
"""What each mode means to whoever got an answer."""

WAIT_MS = 3000
TRUTHFUL_S = 0.25  # of two waits in a row, one at least spans most of a second where the fsync is really waited for


class NotDurable(RedisError):
    """The server did not confirm a write in time. It may hold all the same: a repeat of the request finds out."""


async def probe(redis: Redis) -> Mode:
    """Find out what the server's answers are worth; takes up to two seconds."""
    if (await redis.info("persistence")).get("aof_enabled") != 1:
        return "none"
    try:
        if (await redis.config_get("appendfsync")).get("appendfsync") == "always":
            return "always"
    except ResponseError:  # a hosted server may forbid CONFIG; its WAITAOF still tells
        pass
    try:
        return "waited" if await _waits(redis) else "everysec"
    except ResponseError:  # Redis 7.0 does not know the command
        return "everysec"


async def _waits(redis: Redis) -> bool:
    longest = 0.0
    async with redis.client() as one:
        for _ in range(2):
            await one.set(keys.DURABILITY_PROBE, str(time.time()), ex=60)
            started = time.monotonic()
            await one.waitaof(1, 0, WAIT_MS)
            longest = max(longest, time.monotonic() - started)
    return longest > TRUTHFUL_S


@asynccontextmanager
async def durable(redis: Redis, *, worker: str, mode: Mode) -> AsyncIterator[Ledger]:
    """A ledger whose writes are as safe as this server can make them when the block ends.

    Raises NotDurable where the server did not confirm them.
    """
    async with redis.client() as one:
        yield Ledger(one, worker=worker)
        if mode == "waited":
            local, _ = await one.waitaof(1, 0, WAIT_MS)
            if not local:
                raise NotDurable(f"Redis did not confirm within {WAIT_MS / 1000:.0f} s that the request is on its disk")

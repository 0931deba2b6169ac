"""Entries whose worker died with them in hand: any of them may be why, so they are tried apart from the others.

A worker marks a suspect before it runs it. If the worker dies, the marks outlive it, and `shared/reclaim.py` counts the
crash against the marked ones alone: sixty-three healthy pages do not share the fate of the sixty-fourth. After its
first crash a suspect runs among a few others, so that a killed worker's pages are not read one by one; after its second
it runs alone among suspects, so that the third can only be its own. Where as many workers die without it, even that may
be chance: then it is tried up to three times more (`shared/lua/reclaim.lua`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from shared import keys

BURIED_AFTER = 3
"""Crashes after which an entry is given up."""
TOGETHER = 8
"""Suspects of one crash that a worker runs at once."""
MARK_S = 86_400


class Suspects:
    """The suspects that this process runs."""

    def __init__(self, redis: Redis, *, worker: str) -> None:
        self._redis = redis
        self._marks = keys.suspects(worker)
        self._running: dict[str, int] = {}

    def may_run(self, crashes: int) -> bool:
        """Whether a suspect of so many crashes may run now, beside those that do."""
        alone = crashes > 1 or any(others > 1 for others in self._running.values())
        return not self._running if alone else len(self._running) < TOGETHER

    @asynccontextmanager
    async def turn(self, unit: str, crashes: int) -> AsyncIterator[None]:
        """Run `unit` under a mark. The mark goes only when the work has ended without killing us."""
        self._running[unit] = crashes
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.sadd(self._marks, unit)
                pipe.expire(self._marks, MARK_S)
                await pipe.execute()
            yield
            await self._redis.srem(self._marks, unit)
        finally:
            del self._running[unit]


async def blamed(redis: Redis, worker: str, unit: str) -> bool:
    """Whether the end of `worker` may be `unit`'s doing: it gives no sign of life, and marked this one, or none."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.exists(keys.live(worker))
        pipe.exists(keys.suspects(worker))
        pipe.sismember(keys.suspects(worker), unit)
        alive, marked_some, marked = await pipe.execute()
    return not alive and bool(marked or not marked_some)

"""Entries whose worker died with them in hand: any of them may be why, so each is tried apart from the others.

A worker runs one suspect at a time and marks it first. If the worker dies, the mark outlives it, and `shared/reclaim.py`
counts the crash against the marked one alone: sixty-three healthy pages do not share the fate of the sixty-fourth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from shared import keys

BURIED_AFTER = 3
"""Crashes after which an entry is given up."""
MARK_S = 86_400


class Suspects:
    """The one suspect that this process runs."""

    def __init__(self, redis: Redis, *, worker: str) -> None:
        self._redis = redis
        self._mark = keys.suspect(worker)
        self._turn = asyncio.Lock()

    @property
    def busy(self) -> bool:
        return self._turn.locked()

    @asynccontextmanager
    async def turn(self, unit: str) -> AsyncIterator[None]:
        """Run `unit` as this process' suspect. The mark goes only when the work has ended without killing us."""
        async with self._turn:
            await self._redis.set(self._mark, unit, ex=MARK_S)
            try:
                yield
            finally:
                await self._redis.delete(self._mark)

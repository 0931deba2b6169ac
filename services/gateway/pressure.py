"""Backpressure: new documents are refused, before their bodies are read, while the fleet could not take them in.

What was accepted goes on: a refusal needs nothing, and the memory that is kept free is for its results.
"""

from __future__ import annotations

import asyncio
import math
import time

import msgspec
from redis.asyncio import Redis

from services.gateway.configuration import GatewaySettings
from services.gateway.problems import Problem
from shared import backlog, fleet

LOOK_S = 1.0  # how often Redis is asked, at most, by each gateway
MEMORY_SHARE = 0.9  # of maxmemory; above it Redis is kept for the results of what runs
MEMORY_RETRY_S = 30  # memory comes free as jobs are cleared away
SOONEST_S, LATEST_S = 5, 300  # of Retry-After; a fleet that stands still has no pace to tell it by


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet has to do, and the room that its Redis has. Bytes; `memory_limit` 0: none."""

    backlog_pages: int
    pages_per_s: float
    memory_used: int
    memory_limit: int


class Pressure:
    """Looks at the load, and remembers it for LOOK_S."""

    def __init__(self, redis: Redis, settings: GatewaySettings) -> None:
        self._redis = redis
        self._settings = settings
        self._load: Load | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def check(self) -> None:
        """Raises Problem (503) while there is too much to do; redis' errors."""
        problem = verdict(await self._look(), most_pages=self._settings.max_backlog_pages)
        if problem is not None:
            raise problem

    async def _look(self) -> Load:
        async with self._looking:
            if self._load is None or time.monotonic() - self._looked_at >= LOOK_S:
                memory = await self._redis.info("memory")
                self._load = Load(
                    backlog_pages=await backlog.pages(
                        self._redis, batch_size=self._settings.batch_size, uncounted=self._settings.large_document_pages
                    ),
                    pages_per_s=await fleet.speed(self._redis),
                    memory_used=memory["used_memory"],
                    memory_limit=memory.get("maxmemory", 0),
                )
                self._looked_at = time.monotonic()
            return self._load


def verdict(load: Load, *, most_pages: int) -> Problem | None:
    """Whether that is too much. Pure."""
    if load.memory_limit and load.memory_used >= MEMORY_SHARE * load.memory_limit:
        return Problem(
            "overloaded",
            f"The job store has used {load.memory_used:,} of its {load.memory_limit:,} bytes of memory; the rest is "
            "kept for the documents that were accepted: send this one again later.",
            retry_after_s=MEMORY_RETRY_S,
            memory_used_bytes=load.memory_used,
            memory_limit_bytes=load.memory_limit,
        )
    if load.backlog_pages >= most_pages:
        over = load.backlog_pages - most_pages + 1
        wait_s = over / load.pages_per_s if load.pages_per_s else LATEST_S
        return Problem(
            "overloaded",
            f"{load.backlog_pages:,} pages wait to be read, and {most_pages:,} are as many as are taken: "
            "send the document again later.",
            retry_after_s=min(LATEST_S, max(SOONEST_S, math.ceil(wait_s))),
            backlog_pages=load.backlog_pages,
            limit_pages=most_pages,
        )
    return None

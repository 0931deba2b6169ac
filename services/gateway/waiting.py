"""Why an open job does not go on: the models that it needs next, and whether they answer.

Every status asks, so what the limiters know is looked at once a second at most, however many ask.
"""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis

from shared import pauses
from shared.events import DocSummarized, PageAnalyzed, PageRequested
from shared.records import TERMINAL, Job

FRESH_S = 1.0

READING = (PageRequested.group, PageAnalyzed.group)  # a page that is read is of use once its batch is summarised
SUMMARIZING = (PageAnalyzed.group,)
SPEAKING = (DocSummarized.group,)


def needed(job: Job) -> tuple[str, ...]:
    """The services whose models this job needs from now on to get further. Pure."""
    if job.status in TERMINAL:
        return SPEAKING if job.audio in ("pending", "speaking") else ()
    return SUMMARIZING if job.status == "summarizing" else READING


class Waiting:
    """Answers for any job of the fleet."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._told: dict[str, list[str]] = {}
        """Service -> a sentence for each of its models that keeps it waiting."""

    async def reason(self, job: Job) -> str | None:
        """Why this job can't go on, a sentence or two; None where it can, or has ended. Raises redis' errors."""
        services = needed(job)
        if not services:
            return None
        async with self._looking:
            if time.monotonic() - self._looked_at > FRESH_S:
                self._told = await self._look()
                self._looked_at = time.monotonic()
        told = dict.fromkeys(sentence for service in services for sentence in self._told.get(service, ()))
        return " ".join(told) or None

    async def _look(self) -> dict[str, list[str]]:
        called = await pauses.by_service(self._redis)
        models = {model for names in called.values() for model in names}
        paused = {stats.model: stats.pause for stats in await pauses.limits(self._redis, models) if stats.pause}
        return {service: [paused[name] for name in names if name in paused] for service, names in called.items()}

"""What the keeper does on each round. It may be away for a while: nothing depends on it from one second to the next."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from shared import fleet, keys, metrics
from shared.events import FACTS
from shared.ledger import Ledger

RENDERERS = "splitter"
FORGOTTEN_MS = 60_000
"""A worker that gave no sign of life for this long is cleared away, if it holds nothing."""


async def kick(ledger: Ledger) -> None:
    """Nothing can stand still: what is due and what is next is released, whatever else is asleep."""
    await ledger.release()


async def measure(redis: Redis) -> None:
    """Set the gauges of all streams."""
    for stats in await fleet.streams(redis):
        metrics.BACKLOG.labels(stats.stream).set(stats.waiting + stats.in_flight)
        metrics.IN_HAND.labels(stats.stream).set(stats.in_flight)
        metrics.DEFERRED.labels(stats.stream).set(stats.deferred)
        metrics.OLDEST.labels(stats.stream).set(stats.oldest_age_s)
        metrics.DEAD.labels(stats.stream).set(stats.dead)
        if stats.queued or stats.stream == "pages.requested":
            metrics.QUEUED.set(stats.queued)


async def count_renderers(redis: Redis, ledger: Ledger) -> None:
    """Tell the release how many splitters there are: one more batch than that may wait to be rendered."""
    signs = await fleet.living(redis)
    await ledger.release(renderers=max(1, sum(sign.service == RENDERERS for sign in signs.values())))


async def clear_away(redis: Redis, ledger: Ledger) -> int:
    """Remove workers that are gone and hold nothing from the groups and the index. Answers how many consumers went."""
    gone_before = int(time.time() * 1000) - FORGOTTEN_MS
    living = await fleet.living(redis)
    cleared = 0
    for fact in FACTS:
        for consumer in await redis.xinfo_consumers(fact.stream, fact.group):
            if consumer["name"] in living or consumer["pending"] or consumer["idle"] < FORGOTTEN_MS:
                continue
            cleared += await ledger.reap(fact, consumer["name"])
    await redis.zremrangebyscore(keys.LIVE, "-inf", gone_before)
    return cleared

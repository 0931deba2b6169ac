"""What the keeper does on each round. It may be away for a while: nothing depends on it from one second to the next."""

from __future__ import annotations

import logging
import time
from typing import Any

from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared import fleet, keys, metrics
from shared.events import FACTS
from shared.ledger import Ledger
from shared.repairs import KINDS, Repairs

log = logging.getLogger(__name__)

RENDERERS = "splitter"
FORGOTTEN_MS = 60_000
"""A worker that gave no sign of life for this long is cleared away, if it holds nothing."""

OLD_ENOUGH_MS = 60_000
"""Jobs younger than this are not reconciled: they are hardly under way."""
JOBS_A_ROUND = 200
RECONCILED = Counter(
    "quire_reconciled_total", "Pages, batches, summaries and plans that nothing held and that were put back", ["what"]
)
for _what in KINDS:
    RECONCILED.labels(_what)


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


async def tell(redis: Redis, ledger: Ledger, *, retention_ms: int) -> None:
    """Tell the scripts what they can't know: how long ended jobs are kept, and how many splitters there are.

    One more batch than splitters may wait to be rendered.
    """
    signs = await fleet.living(redis)
    renderers = max(1, sum(sign.service == RENDERERS for sign in signs.values()))
    await ledger.release(renderers=renderers, retention_ms=retention_ms)


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


async def forget_pages(redis: Redis) -> int:
    """Remove the names of pages whose jobs have ended and whose entries are gone. Answers how many there were."""
    repairs, cursor, forgotten = Repairs(redis), 0, 0
    while True:
        names: Any
        cursor, names = await redis.hscan(keys.PAGES_AT, cursor, count=500)
        jobs = [unit.rpartition(":")[0] for unit in names]
        opened: Any = await redis.zmscore(keys.ACTIVE, jobs) if jobs else []
        for unit, ref, since in zip(names, jobs, opened, strict=True):
            if since is None:
                forgotten += await repairs.forget_page(ref, unit)
        if not cursor:
            return forgotten


class Reconciler:
    """Looks after open jobs, some each round, the oldest first, and begins again when all were seen."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._repairs = Repairs(redis)
        self._seen = 0

    async def round(self) -> int:
        """Put back what open jobs have lost. Answers how much.

        A job that a script can't cope with costs itself, not those after it.
        """
        seconds, _ = await self._redis.time()
        refs: Any = await self._redis.zrangebyscore(
            keys.ACTIVE, "-inf", seconds * 1000 - OLD_ENOUGH_MS, start=self._seen, num=JOBS_A_ROUND
        )
        self._seen = self._seen + JOBS_A_ROUND if len(refs) == JOBS_A_ROUND else 0
        total = 0
        for ref in refs:
            try:
                back = await self._repairs.reconcile(ref)
            except ResponseError as error:
                log.warning("not reconciled: %s", error, extra={"action": "reconcile_failed", "job": ref})
                continue
            for what, number in back.items():
                RECONCILED.labels(what).inc(number)
                log.warning("put back: %d × %s", number, what, extra={"action": "reconciled", "job": ref})
                total += number
        return total

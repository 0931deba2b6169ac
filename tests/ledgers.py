"""Takes a job through the ledger by hand, for tests of its scripts: no service runs, nothing moves by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Set

from redis.asyncio import Redis

from shared import keys
from shared.events import BatchSummarized, PageAnalyzed, PageRequested
from shared.outcomes import BatchDone, DocumentDone, Noted, PageRead, Usage
from shared.records import Job
from shared.service import App
from shared.settings import Settings
from tests import apps

JOB = "local/one"


async def the_job(app: App[Settings], ref: str = JOB) -> Job:
    job = await app.jobs.get(ref)
    assert job is not None
    return job


def read(blob: str = "blob") -> PageRead:
    return PageRead(blob=blob, usage=Usage(calls=1, tokens_in=100, tokens_out=10, cost_usd=0.25))


async def read_all(app: App[Settings], *, failing: Set[int] = frozenset()) -> int:
    """Read every page there is, but for the ordinals that fail. Answers how many were asked for."""
    asked = 0
    while entries := await apps.take(app.redis, PageRequested, app.worker):
        for entry in entries:
            if entry.fact.ordinal in failing:  # type: ignore[attr-defined]
                await app.ledger.fail(entry, "the model refused it")
            else:
                await app.ledger.record(entry, read())
            asked += 1
    return asked


async def summarise_batches(app: App[Settings], *, failing: Set[int] = frozenset()) -> None:
    for entry in await apps.take(app.redis, PageAnalyzed, app.worker):
        fact = entry.fact
        assert isinstance(fact, PageAnalyzed)
        if fact.last and fact.batch in failing:
            await app.ledger.fail(entry, "the model is silent")
        else:
            await app.ledger.record(entry, BatchDone(blob=f"b{fact.batch}") if fact.last else Noted())


async def finish(app: App[Settings]) -> str:
    """Summarise what there is; answers the job's last word."""
    word = ""
    await summarise_batches(app)
    for entry in await apps.take(app.redis, BatchSummarized, app.worker):
        word = await app.ledger.record(entry, DocumentDone(blob="d") if entry.fact.last else Noted())  # type: ignore[attr-defined]
    return word


async def image(redis: Redis) -> dict[str, str]:
    """Everything that the server holds, key by key, as digests: equal images are equal states."""
    found = {}
    for key in sorted(await redis.keys("*")):
        if key.startswith((keys.LIVE, "suspects:")):
            continue
        kind = await redis.type(key)
        if kind == "hash":
            value: object = sorted((await redis.hgetall(key)).items())
        elif kind == "zset":
            value = await redis.zrange(key, 0, -1, withscores=True)
        elif kind == "stream":
            pending = [
                (group["name"], await redis.xpending_range(key, group["name"], "-", "+", 1000))
                for group in await redis.xinfo_groups(key)
            ]
            rows = [
                (name, [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows])
                for name, rows in pending
            ]
            value = (await redis.xrange(key), rows)
        else:
            value = await redis.get(key)
        found[key] = hashlib.sha256(repr(value).encode()).hexdigest()
    return found

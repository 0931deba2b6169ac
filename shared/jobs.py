"""The read side of the ledger: jobs, pages and batches from Redis. Writing is `shared/ledger.py` alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from shared import keys
from shared.records import BatchRecord, Job, PageRecord


class Jobs:
    """Reads jobs from Redis. Every method is one round trip."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self, ref: str) -> Job | None:
        """The job, or None if Redis does not know it."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.job(ref))
            pipe.hget(keys.STARTED, ref)
            fields, started = await pipe.execute()
        if not fields:
            return None
        if started and fields["status"] == "queued":
            fields |= {"status": "processing", "started_ms": started}
        return msgspec.convert({**fields, "ref": ref}, Job, strict=False)

    async def pages(self, job: Job, ordinals: Sequence[int]) -> list[PageRecord]:
        """These pages, in the order given."""
        if not ordinals:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(keys.read(job.ref), [str(o) for o in ordinals])
            pipe.hmget(keys.gaps(job.ref), [str(o) for o in ordinals])
            pipe.hmget(keys.PAGES_AT, [f"{job.ref}:{o}" for o in ordinals])
            read, gaps, at = await pipe.execute()
        records = []
        for ordinal, hit, gap, entry in zip(ordinals, read, gaps, at, strict=True):
            known = (
                msgspec.json.decode(hit or gap)
                if hit or gap
                else {"page": job.page_of(ordinal), "reading": bool(entry)}
            )
            records.append(msgspec.convert({**known, "ordinal": ordinal}, PageRecord))
        return records

    async def gaps(self, job: Job) -> list[PageRecord]:
        """All pages that failed, in page order."""
        found = await self._redis.hgetall(keys.gaps(job.ref))
        records = [
            msgspec.convert({**msgspec.json.decode(gap), "ordinal": int(o)}, PageRecord) for o, gap in found.items()
        ]
        return sorted(records, key=lambda record: record.ordinal)

    async def batches(self, job: Job) -> list[BatchRecord]:
        """All batches, in order; empty until the document is planned."""
        if not job.batches:
            return []
        found = await self._redis.hmget(keys.batches(job.ref), [f"summary:{b}" for b in range(job.batches)])
        return [
            msgspec.convert({**(msgspec.json.decode(hit) if hit else {}), "batch": b}, BatchRecord)
            for b, hit in enumerate(found)
        ]

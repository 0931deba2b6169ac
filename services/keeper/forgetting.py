"""Forgets what is over: the blobs of jobs whose keys have expired, and uploads that never became a job.

Promises
1. Nothing of a job that Redis knows is removed. An upload that no job knows is removed when a job of its age would be:
   a fleet that was started on an empty Redis by mistake has lost nothing that its backup still names.
2. A round is short: it looks at some hundred names and removes some thousand blobs; the next one goes on.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from prometheus_client import Counter
from redis.asyncio import Redis

from services.keeper.configuration import DAY_MS
from shared import blobs as names
from shared import keys
from shared.blobs import Blobs
from shared.ledger import Ledger
from shared.records import TERMINAL

log = logging.getLogger(__name__)

JOBS_A_ROUND = 100
BLOBS_A_ROUND = 5000
KEYS_A_ROUND = 2000  # most of what it looks at is of the cache
UPLOADS_A_PASS = 200
LATER_MS = 3_600_000
"""When a job is looked at again that should have expired and has not."""
UPLOAD_MS = DAY_MS
"""No upload takes so long."""
FORGOTTEN = Counter("quire_forgotten_total", "What was removed after its lifetime", ["what"])
JOBS, UPLOADS = FORGOTTEN.labels("job"), FORGOTTEN.labels("upload")


class Forgetter:
    """A part of it each round, from where the last one stopped. `retention_ms` 0: what has no lifetime gets none."""

    def __init__(self, redis: Redis, blobs: Blobs, ledger: Ledger, *, retention_ms: int) -> None:
        self._redis = redis
        self._blobs = blobs
        self._ledger = ledger
        self._retention_ms = retention_ms
        self._cursor = 0
        self._uploads_after = ""
        self._strays: set[str] = set()
        """Uploads that were old when this pass through the keys began, and of which it has seen no job."""

    async def expired(self) -> int:
        """Remove the blobs of jobs whose keys have expired. Answers how many jobs are gone for good."""
        now = await self._now_ms()
        due: Any = await self._redis.zrangebyscore(keys.ENDED, "-inf", now, start=0, num=JOBS_A_ROUND)
        gone, room = 0, BLOBS_A_ROUND
        for member in due:
            ref, run, upload = member.split(" ")
            if await self._redis.hget(keys.job(ref), "run") == run:
                await self._redis.zadd(keys.ENDED, {member: now + LATER_MS}, xx=True)
                continue
            for folder in (names.of_run(ref, run), names.of_upload(upload)):
                room -= await self._blobs.clear(folder, most=room)
            if room <= 0:
                break
            await self._redis.zrem(keys.ENDED, member)
            JOBS.inc()
            gone += 1
            log.info("forgotten", extra={"action": "forgotten", "job": ref})
        return gone

    async def look_through(self) -> None:
        """Go on through all jobs: ended ones without a lifetime get one; old uploads that no job knows are removed."""
        if self._retention_ms == 0:
            return
        if self._cursor == 0:
            self._strays = await self._old_uploads()
        answer: Any = await self._redis.scan(self._cursor, match=keys.job("*"), count=KEYS_A_ROUND, _type="hash")
        self._cursor, found = answer
        refs = [str(key).removeprefix(keys.job("")) for key in found if key.count(":") == 1]
        async with self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hmget(keys.job(ref), ["status", "source"])
                pipe.pttl(keys.job(ref))
            answers = await pipe.execute()
        for ref, (status, source), ttl_ms in zip(refs, answers[::2], answers[1::2], strict=True):
            self._strays.discard(source)
            if status in TERMINAL and ttl_ms == -1:
                await self._ledger.retire(ref)
        if self._cursor == 0:
            await self._remove_strays()

    async def _old_uploads(self) -> set[str]:
        """The next ones, by name; those that are being sent are younger."""
        found = await self._blobs.folders(names.of_upload(""), after=self._uploads_after, most=UPLOADS_A_PASS)
        self._uploads_after = found[-1] if len(found) == UPLOADS_A_PASS else ""
        oldest_s = time.time() - max(UPLOAD_MS, self._retention_ms) / 1000
        old: set[str] = set()
        for upload in found:
            newest = await self._blobs.newest(names.of_upload(upload))
            if newest is not None and newest < oldest_s:
                old.add(upload)
        return old

    async def _remove_strays(self) -> None:
        for upload in self._strays:
            await self._blobs.clear(names.of_upload(upload), most=BLOBS_A_ROUND)
            UPLOADS.inc()
            log.warning("removed an upload that no job knows", extra={"action": "stray_removed", "upload": upload})
        self._strays = set()

    async def _now_ms(self) -> int:
        seconds, micros = await self._redis.time()
        return int(seconds * 1000 + micros // 1000)

"""The limits of an API key: requests a second, active jobs, pages a day. They are counted in Redis, for all gateways.

Pages a day are exact though nobody knows a PDF's pages when it is submitted: as many as it may have are reserved, the
job carries that number (`max_pages`), and is refused where it has more; the rest is free again once they are counted.
Reservations are looked through when the next document comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from redis.asyncio import Redis

from services.gateway.problems import Problem
from services.gateway.ratelimits import Meter
from shared import keys, scripts
from shared.apikeys import Limits
from shared.jobs import Jobs
from shared.records import TERMINAL, Job

JOBS_RETRY_S = 10  # a job's end can't be foretold from here
COUNTING_RETRY_S = 2  # the pages of a PDF are counted within a second, mostly
UNDER_WAY_MS = 60_000  # a reservation is made right before its job: older, and no job to be found, it had one
DAY_S = 86_400


class Reservation(msgspec.Struct, frozen=True):
    """Pages of a day, held for a document until its pages are counted; as `quota_reserve.lua` stores it."""

    job: str
    pages: int
    day: int
    ms: int


class Quotas:
    """The limits of one key. Raises redis' errors, and Problem (429) where a limit is met.

    `show` is given what is known of each limit, met or not.
    """

    def __init__(self, redis: Redis, jobs: Jobs, key: str, limits: Limits, show: Callable[[Meter], None]) -> None:
        self._redis = redis
        self._known = jobs
        self._limits = limits
        self._show = show
        self._rate = keys.quota_rate(key)
        self._jobs = keys.quota_jobs(key)
        self._pages = keys.quota_pages(key)

    async def request(self) -> None:
        """One more request."""
        rate = self._limits.requests_per_s
        if rate is None:
            return
        burst = self._limits.burst or max(1, math.ceil(2 * rate))
        allowed, left, wait_ms, full_ms = await self._call("quota_rate", self._rate, rate=rate, burst=burst)
        self._show(Meter(policy="requests", quota=burst, left=left, window_s=burst / rate, reset_s=full_ms / 1000))
        if not allowed:
            raise Problem(
                "too-many-requests",
                f"This key may send {rate:g} requests a second, and {burst:,} at once: wait, then send it again.",
                retry_after_s=max(1, math.ceil(wait_ms / 1000)),
                limit_requests_per_s=rate,
                limit_burst=burst,
            )

    async def check(self) -> None:
        """Before a document is taken in: whether there is room for any. Reserves nothing."""
        if (most := self._limits.active_jobs) is not None and await self._active(most) >= most:
            raise self._too_many_jobs(most)
        if (limit := self._limits.pages_per_day) is not None:
            _, left, reserved, reset_ms = await self._reserve(limit)
            if reserved and not left:
                await self._settle_counted()
                _, left, reserved, reset_ms = await self._reserve(limit)
            if not left:
                raise self._no_pages(limit, wanted=1, left=left, reserved=reserved, reset_ms=reset_ms)

    async def begin(self, job: str) -> None:
        """One more active job."""
        most = self._limits.active_jobs
        if most is None:
            return
        active = await self._active(most)
        if not await self._call("quota_jobs", self._jobs, job=job, limit=most):
            raise self._too_many_jobs(most)
        self._show_jobs(most, active + 1)

    async def reserve(self, run: str, job: str, *, pages: int, most: int) -> int:
        """Hold pages of the day for this document; how many it may have, 0 where the key has no such limit.

        `pages` 0: nobody has counted them yet; then as many as are left, up to `most`.
        """
        limit = self._limits.pages_per_day
        if limit is None:
            return 0
        await self._settle_counted()
        wanted = pages or min(most, limit)
        granted, left, reserved, reset_ms = await self._reserve(limit, run=run, job=job, wanted=wanted, less=not pages)
        if not granted:
            raise self._no_pages(limit, wanted=wanted, left=left, reserved=reserved, reset_ms=reset_ms)
        return granted

    async def settle(self, run: str, pages: int) -> None:
        """So many pages they were; 0 where nothing came of it."""
        if self._limits.pages_per_day is not None:
            await self._call("quota_settle", self._pages, run=run, pages=pages)

    async def dismiss(self, run: str, job: str) -> None:
        """Nothing came of it: neither the job nor its pages count."""
        await self.settle(run, 0)
        if self._limits.active_jobs is not None:
            await self._redis.zrem(self._jobs, job)

    async def _settle_counted(self) -> None:
        """Settle what is known by now."""
        found: Any = await self._redis.hgetall(self._pages)
        seconds, _ = await self._redis.time()
        for field, text in found.items():
            if field.startswith("r:"):
                held = msgspec.json.decode(text, type=Reservation)
                pages = counted(held, field[2:], await self._known.get(held.job), now_ms=seconds * 1000)
                if pages is not None:
                    await self.settle(field[2:], pages)

    async def _active(self, most: int) -> int:
        """Jobs that have not ended. They are looked at only where there are too many: those that have ended go."""
        refs: Any = await self._redis.zrange(self._jobs, 0, -1)
        if len(refs) < most:
            self._show_jobs(most, len(refs))
            return len(refs)
        seconds, _ = await self._redis.time()
        async with self._redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.hget(keys.job(ref), "status")
                pipe.zscore(self._jobs, ref)
            found = await pipe.execute()
        young = seconds * 1000 - UNDER_WAY_MS
        gone = [
            ref
            for ref, status, began_ms in zip(refs, found[::2], found[1::2], strict=True)
            if status in TERMINAL or (status is None and (began_ms or 0) < young)
        ]
        if gone:
            await self._redis.zrem(self._jobs, *gone)
        self._show_jobs(most, len(refs) - len(gone))
        return len(refs) - len(gone)

    async def _reserve(
        self, limit: int, *, run: str = "", job: str = "", wanted: int = 0, less: bool = False
    ) -> tuple[int, int, int, int]:
        granted, left, reserved, reset_ms = await self._call(
            "quota_reserve", self._pages, run=run, job=job, wanted=wanted, limit=limit, less=less
        )
        self._show(
            Meter(
                policy="pages-per-day",
                unit="pages",
                quota=limit,
                left=left - granted,
                window_s=DAY_S,
                reset_s=reset_ms / 1000,
            )
        )
        return granted, left, reserved, reset_ms

    async def _call(self, name: str, key: str, **arguments: object) -> Any:
        return await scripts.call(self._redis, scripts.load(name), [key], arguments)

    def _show_jobs(self, most: int, active: int) -> None:
        self._show(Meter(policy="active-jobs", unit="jobs", quota=most, left=max(0, most - active)))

    def _too_many_jobs(self, most: int) -> Problem:
        return Problem(
            "too-many-active-jobs",
            f"This key may have {most:,} jobs that have not ended, and has: wait for one to end, or cancel one.",
            retry_after_s=JOBS_RETRY_S,
            limit_active_jobs=most,
        )

    def _no_pages(self, limit: int, *, wanted: int, left: int, reserved: int, reset_ms: int) -> Problem:
        counting = wanted <= left + reserved
        why = (
            f"{reserved:,} are held for documents whose pages are being counted: send it again in a moment."
            if counting
            else "send it when the day has ended (UTC), or fewer pages of it."
        )
        return Problem(
            "pages-used-up",
            f"This key may submit {limit:,} pages a day; {left:,} are left, and {wanted:,} are asked for; {why}",
            retry_after_s=COUNTING_RETRY_S if counting else max(1, math.ceil(reset_ms / 1000)),
            limit_pages_per_day=limit,
            left_pages=left,
            reserved_pages=reserved,
        )


def counted(held: Reservation, run: str, job: Job | None, *, now_ms: int) -> int | None:
    """How many pages a reservation comes to, None while nobody knows. Pure.

    A job that is gone may have been read: all that was held for it counts.
    """
    if job is None:
        return held.pages if now_ms - held.ms > UNDER_WAY_MS else None
    if job.run != run:
        return 0
    if job.pages:
        return job.pages
    return 0 if job.status in TERMINAL else None

"""Who is alive, and what waits where: signs of life of the workers, figures of the streams."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from shared import keys
from shared.events import FACTS, PageRequested

log = logging.getLogger(__name__)

BEAT_S = 5.0
LIVE_S = 20
"""A dead worker's sign of life is gone before its first lease runs out: else its crash would not be counted."""


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's sign of life."""

    service: str
    slots: int = 0
    busy: int = 0
    port: int = 0
    pid: int = 0
    models: list[str] = []
    """Those that it calls."""


class Liveness:
    """Gives this process' sign of life. `slots` answers (all, busy)."""

    def __init__(self, redis: Redis, *, service: str, worker: str) -> None:
        self._redis = redis
        self._service = service
        self._worker = worker
        self._given_at = time.monotonic()
        self._left = asyncio.Event()
        self.port = 0
        self.slots: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.models: list[str] = []
        """Those that this process calls."""

    async def give(self) -> None:
        slots, busy = self.slots()
        sign = Sign(service=self._service, slots=slots, busy=busy, port=self.port, pid=os.getpid(), models=self.models)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(keys.live(self._worker), msgspec.json.encode(sign), ex=LIVE_S)
            pipe.zadd(keys.LIVE, {self._worker: int(time.time() * 1000)})
            await pipe.execute()
        self._given_at = time.monotonic()

    async def beat(self) -> None:
        """Give it every few seconds until `leave`."""
        while not self._left.is_set():
            try:
                await self.give()
            except (RedisError, OSError) as error:
                log.warning("no sign of life given: %s", error, extra={"action": "beat_failed"})
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._left.wait()
            except TimeoutError:
                continue

    async def leave(self) -> None:
        """A clean end: nobody need wait for the sign to expire."""
        self._left.set()
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.delete(keys.live(self._worker))
                pipe.zrem(keys.LIVE, self._worker)
                await pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("left without a word: %s", error, extra={"action": "leave_failed"})

    def ailments(self) -> list[str]:
        age = time.monotonic() - self._given_at
        return [f"no sign of life given for {age:.0f} s"] if age > LIVE_S else []


async def living(redis: Redis) -> dict[str, Sign]:
    """Workers that give signs of life, by name."""
    workers: Any = await redis.zrange(keys.LIVE, 0, -1)
    found = await redis.mget([keys.live(worker) for worker in workers]) if workers else []
    return {worker: msgspec.json.decode(sign, type=Sign) for worker, sign in zip(workers, found, strict=True) if sign}


class ServiceStats(msgspec.Struct, frozen=True, kw_only=True):
    """Live processes of a service. Slots are entries that they may hold at once; busy, those that they hold."""

    service: str
    workers: int
    slots: int
    busy: int


async def services(redis: Redis) -> list[ServiceStats]:
    """By service, sorted by name."""
    by_name: dict[str, list[Sign]] = {}
    for sign in (await living(redis)).values():
        by_name.setdefault(sign.service, []).append(sign)
    return [
        ServiceStats(
            service=name,
            workers=len(signs),
            slots=sum(s.slots for s in signs),
            busy=sum(s.busy for s in signs),
        )
        for name, signs in sorted(by_name.items())
    ]


class StreamStats(msgspec.Struct, frozen=True, kw_only=True):
    """A work stream. `backlog` is all that is still to be done: queued (fair queue), deferred, waiting, in flight."""

    stream: str
    backlog: int
    queued: int
    deferred: int
    waiting: int
    in_flight: int
    oldest_age_s: float
    """Age of the oldest entry in the stream; 0 when it is empty."""
    dead: int


async def streams(redis: Redis) -> list[StreamStats]:
    """In pipeline order."""
    async with redis.pipeline(transaction=False) as pipe:
        for fact in FACTS:
            pipe.xlen(fact.stream)
            pipe.xpending(fact.stream, fact.group)
            pipe.xrange(fact.stream, count=1)
            pipe.zcard(keys.deferred(fact.stream))
            pipe.xlen(keys.dead(fact.stream))
        pipe.zcard(keys.PAGES_QUEUE)
        pipe.time()
        *found, queued_pages, (seconds, _) = await pipe.execute(raise_on_error=False)
    stats = []
    for number, fact in enumerate(FACTS):
        length, pending, oldest, deferred, dead = found[number * 5 : number * 5 + 5]
        in_flight = 0 if isinstance(pending, ResponseError) else pending["pending"]
        queued = queued_pages if fact is PageRequested else 0
        age = max(0.0, seconds - int(oldest[0][0].partition("-")[0]) / 1000) if oldest else 0.0
        stats.append(
            StreamStats(
                stream=fact.stream,
                backlog=length + deferred + queued,
                queued=queued,
                deferred=deferred,
                waiting=max(0, length - in_flight),
                in_flight=in_flight,
                oldest_age_s=round(age, 1),
                dead=dead,
            )
        )
    return stats


RATE_MEMORY_S = 5.0
"""As in lua/include/release.lua."""


async def speed(redis: Redis) -> float:
    """Pages that end a second, a moving average of the last seconds."""
    rate, at_ms = await redis.hmget(keys.CLOCK, ["rate", "rate_ms"])
    if not rate or not at_ms:
        return 0.0
    seconds, _ = await redis.time()
    return float(rate) * math.exp(min(0.0, int(at_ms) / 1000 - seconds) / RATE_MEMORY_S)


async def last_speed(redis: Redis, *, within_s: float = 600) -> float:
    """Pages a second when pages last ended; 0 where that was too long ago to say what the fleet can do."""
    rate, at_ms = await redis.hmget(keys.CLOCK, ["rate", "rate_ms"])
    if not rate or not at_ms:
        return 0.0
    seconds, _ = await redis.time()
    return float(rate) if seconds - int(at_ms) / 1000 < within_s else 0.0


async def jobs_by_status(redis: Redis) -> dict[str, int]:
    """Jobs that have not ended, by status. At most the 1,000 oldest are looked at."""
    refs: Any = await redis.zrange(keys.ACTIVE, 0, 999)
    if not refs:
        return {}
    async with redis.pipeline(transaction=False) as pipe:
        for ref in refs:
            pipe.hget(keys.job(ref), "status")
        statuses = await pipe.execute()
    started = set(await redis.hkeys(keys.STARTED))
    return dict(
        Counter(
            "processing" if status == "queued" and ref in started else status
            for ref, status in zip(refs, statuses, strict=True)
            if status
        )
    )

"""Answers that were paid for, by what was asked: the same question is not paid for again.

Promises
1. A question that was answered is answered from here until CACHE_TTL_S is over, and while it is being asked nobody else
   asks it: who finds it in another's hands waits outside of its slot.
2. An answer is found only by jobs of the same user of the same tenant (`shared/questions.py`).
3. The cache is never the reason that an answer is lost: one that can't be kept is used all the same.

A claim is a lease: renewed while its block runs, freed when the block fails, gone by itself when its worker dies. Redis
holds the name of a blob, the blob store the answer; the blob is in the folder of the job that paid, and goes with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, Literal, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import keys, metrics, scripts
from shared.errors import RetryLater
from shared.events import Fact
from shared.lease import RENEWALS
from shared.outcomes import Usage
from shared.questions import Found, Question

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

LOOK_AGAIN_S = 1.0  # a call takes some seconds: those who wait for its answer lose little, and ask little

Fetch = Callable[[str], Awaitable[bytes]]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis holds of an answer."""

    blob: str
    unit: str
    usage: Usage


class _Held(Generic[T]):
    """See `questions.Held`. `keep`: what keeps it."""

    def __init__(self, found: Found[T] | None, keep: Callable[[str, Usage], Awaitable[bool]]) -> None:
        self.found = found
        self.kept = False
        self._keep = keep

    async def keep(self, blob: str, usage: Usage) -> None:
        self.kept = await self._keep(blob, usage)


class Cache:
    """The answers of one kind, for one worker. `ttl_s` 0: there are none, and none are kept."""

    def __init__(
        self,
        redis: Redis,
        *,
        what: Literal["page", "summary"],
        fetch: Fetch,
        worker: str,
        lease_s: float,
        ttl_s: int,
    ) -> None:
        self._redis = redis
        self._what = what
        self._fetch = fetch
        self._worker = worker
        self._lease_s = lease_s
        self._ttl_s = ttl_s

    @asynccontextmanager
    async def claim(self, question: Question[T], fact: Fact) -> AsyncIterator[_Held[T]]:
        """See `questions.Claim`. Raises redis' errors where the cache can't be asked: before anything is paid for."""
        unit = f"{fact.run}:{fact.unit}"
        found = await self._found(question, unit) if self._ttl_s else None

        async def keep(blob: str, usage: Usage) -> bool:
            return await self._keep(question, _Kept(blob=blob, unit=unit, usage=usage))

        held = _Held(found, keep)
        if found is not None or not self._ttl_s:
            yield held
            return
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(question, unit, over), name=f"claim of {fact.unit}")
        try:
            yield held
        finally:
            over.set()
            await renewing
            if not held.kept:
                await self._told("cache_free", question, unit=unit)

    async def _found(self, question: Question[T], unit: str) -> Found[T] | None:
        """The answer; None: it is ours to ask. An answer whose blob is gone or broken is none."""
        gone = ""
        while True:
            word, *told = await self._call(
                "cache_claim", question, unit=unit, lease_ms=int(self._lease_s * 1000), gone=gone
            )
            if word == "claimed":
                self._count("miss")
                return None
            if word == "busy":
                self._count("busy")
                raise RetryLater(
                    "the same is being asked for another page or document",
                    after=min(LOOK_AGAIN_S, max(0, told[0]) / 1000),
                    counted=False,
                )
            kept = msgspec.json.decode(told[0], type=_Kept)
            try:
                value = msgspec.json.decode(await self._fetch(kept.blob), type=question.answer)
            except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
                gone = kept.blob
            else:
                self._count("hit")
                own = kept.unit == unit
                return Found(value=value, blob=kept.blob, own=own, usage=kept.usage if own else Usage())

    async def _keep(self, question: Question[T], kept: _Kept) -> bool:
        if not self._ttl_s:
            return False
        value = msgspec.json.encode(kept).decode()
        return await self._told("cache_keep", question, value=value, ttl_ms=self._ttl_s * 1000)

    async def _renew(self, question: Question[T], unit: str, over: asyncio.Event) -> None:
        """Until it is over. Ends by that event alone: see `shared/bus.py`."""
        while True:
            try:
                async with asyncio.timeout(self._lease_s / RENEWALS):
                    await over.wait()
            except TimeoutError:
                await self._told("cache_renew", question, unit=unit, lease_ms=int(self._lease_s * 1000))
            else:
                return

    async def _told(self, name: str, question: Question[T], **arguments: object) -> bool:
        """Tell the cache something that the answer does not depend on. True where it is known to have listened."""
        try:
            await self._call(name, question, **arguments)
        except (RedisError, OSError) as error:
            log.warning("cache not told: %s", error, extra={"action": "cache_failed", "script": name})
            return False
        return True

    async def _call(self, name: str, question: Question[T], **arguments: object) -> Any:
        key = keys.cache(question.digest)
        return await scripts.call(self._redis, scripts.load(name), [key], {"worker": self._worker, **arguments})

    def _count(self, result: str) -> None:
        metrics.CACHE.labels(self._what, result).inc()

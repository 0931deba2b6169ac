"""The model's limits are the fleet's: requests and tokens a minute, pauses and outages, shared by all workers.

A permit is one call that may be made now. The consumer of a stage whose handler always calls the model takes permits
before it reads, so that no page waits for the limit in a worker's hands; `acquire` finds the permit that came with the
entry, or takes one. Every permit is settled: by the call's result, or as unused. Before the first answer, in an outage
and while the key is refused there is one at a time, the probe's, which only a call that is about to be made takes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextvars import ContextVar
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import keys, scripts
from shared.errors import RetryLater

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""A longer wait for the limit is spent outside the worker's slot: the entry is deferred."""


EXTEND_S = 1.5
"""A probe's call says so often that it goes on; lua/include/probe.lua waits for three of them."""

LONGEST_TURN_S = 25.0
"""A probe that takes longer is joined by another, while its call goes on."""


class Permit(msgspec.Struct):
    """One call. `reserved`: tokens set aside for it. Used at most once. `probe`: its number where it is one, else 0."""

    reserved: int
    probe: int = 0
    used: bool = False


class Grant(msgspec.Struct, frozen=True):
    """What the limiter answered: permits to use now, or how long to wait, and why if the fleet is paused.

    `probe_wanted`: the model is to be tried with one call, whose permit is `acquire`'s to take.
    """

    permits: list[Permit]
    wait_s: float
    why: str
    probe_wanted: bool = False


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server's x-ratelimit headers say; None where they don't."""

    rpm: int | None = None
    tpm: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call. `down`: time-outs, 5xx, connection; `tokens`: in and out together, as the server counted."""

    kind: Literal["ok", "busy", "down", "stop", "refused", "unreadable", "cancelled"]
    tokens: int = 0
    retry_after_s: float | None = None
    limits: Limits | None = None
    reason: str = ""


_permit: ContextVar[Permit | None] = ContextVar("permit", default=None)


def carry(permit: Permit | None) -> None:
    """Let the calls of this task find the permit that was taken for its entry."""
    _permit.set(permit)


class Limiter:
    """The limiter of one model. `rpm`, `tpm`: 0 for what the server tells, else without limit."""

    def __init__(self, redis: Redis, model: str, *, rpm: int = 0, tpm: int = 0) -> None:
        self.model = model
        self.refused = False
        """The key of this process was refused, and no call of its own was answered since."""
        self._redis = redis
        self._key = keys.limiter(model)
        self._rpm = rpm
        self._tpm = tpm

    async def take(self, wanted: int, *, looking: bool = False) -> Grant:
        """Up to `wanted` permits, without waiting.

        `looking`: there is no call to make yet, so that a probe is not taken: who has one to make must not wait for it.
        """
        granted, wait_ms, reserved, why, probe = await self._call(
            "take", wanted=wanted, rpm=self._rpm, tpm=self._tpm, looking=looking
        )
        permits = [Permit(reserved, max(probe, 0)) for _ in range(granted)]
        return Grant(permits, wait_ms / 1000, why, probe_wanted=probe < 0)

    async def extend(self, permit: Permit, over: asyncio.Event) -> None:
        """Keep a probe's turn until its call is `over`: else another follows it after some seconds.

        A turn has an end: where the model has come back meanwhile, a call that hangs is not waited for.
        """
        until = time.monotonic() + LONGEST_TURN_S
        while not over.is_set() and time.monotonic() < until:
            try:
                await self._call("extend", probe=permit.probe)
            except (RedisError, OSError) as error:
                log.warning("probe not extended: %s", error, extra={"action": "extend_failed"})
            try:
                async with asyncio.timeout(EXTEND_S):
                    await over.wait()
            except TimeoutError:
                continue

    async def give_back(self, permits: list[Permit]) -> None:
        """Return those of the permits that were not used."""
        unused = [permit for permit in permits if not permit.used]
        for permit in unused:
            permit.used = True
        if not unused:
            return
        try:
            await self._settle(Result(kind="cancelled"), unused[0], kind="unused", n=len(unused))
        except (RedisError, OSError) as error:
            log.warning("permits not returned: %s", error, extra={"action": "settle_failed"})

    async def acquire(self) -> Permit:
        """A permit for one call: the entry's own, or one that is waited for.

        Raises RetryLater, uncounted, when the wait is longer than a slot should be held.
        """
        permit = _permit.get()
        while permit is None or permit.used:
            grant = await self.take(1)
            if grant.permits:
                permit = grant.permits[0]
            elif grant.wait_s > PATIENCE_S:
                raise RetryLater(
                    f"the model's limit is used up{': ' + grant.why if grant.why else ''}",
                    after=grant.wait_s,
                    counted=False,
                )
            else:
                await asyncio.sleep(grant.wait_s * random.uniform(1, 1.2))
        permit.used = True
        return permit

    async def settle(self, permit: Permit, result: Result) -> bool:
        """Tell what came of a call. True where its failure counts against the page, False in an outage."""
        if result.kind in ("ok", "stop"):
            self.refused = result.kind == "stop"
        try:
            return bool(await self._settle(result, permit, kind=result.kind, n=0))
        except (RedisError, OSError) as error:
            # The call is over and may be paid for: its outcome is worth more than the books of the limiter.
            log.warning("call not settled: %s", error, extra={"action": "settle_failed"})
            return True

    async def _settle(self, result: Result, permit: Permit, *, kind: str, n: int) -> int:
        limits = result.limits or Limits()
        answer: int = await self._call(
            "settle",
            kind=kind,
            n=n,
            tokens=result.tokens,
            estimate=permit.reserved,
            probe=permit.probe,
            wait_ms=int((result.retry_after_s or 0) * 1000),
            rpm=limits.rpm or 0,
            tpm=limits.tpm or 0,
            why=result.reason,
        )
        return answer

    async def _call(self, name: str, **arguments: object) -> Any:
        return await scripts.call(self._redis, scripts.load(name), [self._key], arguments)

"""Kills processes of a fleet in mid work, and knows what each had in hand."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.fleet import Fleet
from benchmarks.parameters import KILL_EVERY_S
from shared import fleet as signs
from shared.events import BatchSummarized, PageAnalyzed, PageRequested

SERVICES = ("gateway", "splitter", "page_worker", "aggregator", "keeper")
CALLING = (PageRequested, PageAnalyzed, BatchSummarized)
"""Facts that are worked on with a model call, at most one at a time (a summary's tree apart)."""


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was killed, and the entries that it had in hand: at most so many calls were in flight."""

    service: str
    pages: tuple[int, ...]
    """Numbers of the pages that it was reading."""
    summaries: int


async def kill(fleet: Fleet, redis: Redis, pid: int, service: str) -> Killed:
    """SIGKILL. It is stopped first, so that what it holds can be looked at."""
    os.kill(pid, signal.SIGSTOP)
    try:
        held = await _held(redis, pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    return msgspec.structs.replace(held, service=service)


async def _held(redis: Redis, pid: int) -> Killed:
    workers = [name for name, sign in (await signs.living(redis)).items() if sign.pid == pid]
    pages: list[int] = []
    summaries = 0
    for fact in CALLING:
        for worker in workers:
            rows = await redis.xpending_range(fact.stream, fact.group, "-", "+", 1000, worker)
            if fact is not PageRequested:
                summaries += len(rows)
                continue
            for row in rows:
                found: Any = await redis.xrange(fact.stream, row["message_id"], row["message_id"])
                pages += [int(fields["page"]) for _, fields in found]
    return Killed(service="", pages=tuple(pages), summaries=summaries)


async def keep_killing(fleet: Fleet, killed: list[Killed], *, seed: int, over: asyncio.Event) -> None:
    """Kill a process at random every KILL_EVERY_S until it is over; what was killed is added to `killed`.

    One of all that the fleet has, whether it runs or waits to be started again (`up` waits for up to 30 s): then
    nothing happens. Were only those that run chosen, each would be killed as soon as it is back.
    """
    chance = random.Random(seed)
    async with Redis.from_url(fleet.redis_url, decode_responses=True) as redis:
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(KILL_EVERY_S):
                    await over.wait()
            running = fleet.folder.running()
            there = [its for its in running.processes if its.service in SERVICES] if running else []
            if over.is_set() or not there:
                continue
            victim = chance.choice(there)
            if victim.pid == 0:
                continue
            with suppress(ProcessLookupError, RedisError):  # it has just ended by itself
                killed.append(await kill(fleet, redis, victim.pid, victim.service))

"""After the quiet: what of the promises is broken, in sentences."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis

from shared.events import FACTS
from shared.keys import dead
from tests.chaos.document import Document
from tests.chaos.fleet import Fleet
from tests.chaos.observer import memory_mb
from tests.chaos.scale import Scale
from tests.faults.verdict import verdict
from tests.standin.calls import Call

FLAWED = {"wrong_shape", "repeats", "truncated", "content_not_json", "not_json", "html"}
"""Answers of no use that came whole: a model bills them, and a job may count them."""
MINUTE_S = 60
GROWTH_MB = 80
"""What a process may grow by: its caches fill, and its pools reach their size."""
KEEPER_S = 75
"""Two of the keeper's rounds in which it looks through all jobs, and some."""
OWN_BYTES = 20_000_000
"""What Redis may hold beside the keys of jobs, dead letters and the server itself."""


async def judge(
    redis: Redis,
    gateway: str,
    documents: Sequence[Document],
    calls: Sequence[Call],
    *,
    at_risk: int,
) -> list[str]:
    """The verdict, with the calls that were billed for nothing allowed for."""
    billed = [msgspec.structs.replace(call, did="answer") if call.did in FLAWED else call for call in calls]
    flawed = sum(call.did in FLAWED for call in calls)
    async with aiohttp.ClientSession(base_url=gateway) as session:
        asked = [document.asked() for document in documents]
        return await verdict(redis, session, asked, billed, extra=at_risk + flawed)


def read_again(calls: Iterable[Call]) -> dict[str, int]:
    """Image -> right answers about it beyond the first that reached their caller."""
    answered = Counter(
        call.token for call in calls if call.schema == "page_analysis" and call.did == "answer" and not call.aborted
    )
    return {token: times - 1 for token, times in answered.items() if times > 1}


def too_fast(calls: Sequence[Call], scale: Scale, *, lost_seconds: int) -> list[str]:
    """Minutes in which a model was asked more often than the fleet may.

    The limit holds where calls begin. On top of it come the bucket's second, once more for each time that the server
    forgot a second of it; and permits that a stopped or busy process used late, its slots.
    """
    wrong = []
    allowed = scale.rpm + scale.rpm / 60 * (1 + lost_seconds) + scale.slots * scale.counts["page_worker"]
    for model in {call.model for call in calls if call.model}:
        times = sorted(call.at for call in calls if call.model == model)
        first = most = 0
        for last, at in enumerate(times):
            while times[first] < at - MINUTE_S:
                first += 1
            most = max(most, last - first + 1)
        if most > allowed:
            wrong.append(f"{model} was asked {most} times within a minute; {allowed:.0f} are allowed")
    return wrong


def grown(fleet: Fleet, before: dict[str, float]) -> list[str]:
    """Processes that hold much more than when the run began."""
    now = memory_mb(fleet)
    return [
        f"{name} has grown from {before[name]:.0f} MB to {mb:.0f} MB"
        for name, mb in now.items()
        if name in before and mb > before[name] + GROWTH_MB
    ]


async def lasting(redis: Redis) -> list[str]:
    """Keys of ended jobs that have no lifetime, also when the keeper has looked after what other releases ended."""
    deadline = time.monotonic() + KEEPER_S
    while True:
        wrong = [
            f"{key} has no lifetime" async for key in redis.scan_iter("job:*", count=1000) if await redis.ttl(key) < 0
        ]
        if not wrong or time.monotonic() > deadline:
            return wrong[:20]
        await asyncio.sleep(1)


async def held(redis: Redis) -> tuple[list[str], int]:
    """Sentences where Redis holds much that is no job's; and the bytes of what is."""
    letters = {dead(fact.stream) for fact in FACTS}
    own = jobs = 0
    async for key in redis.scan_iter("*", count=1000):
        size: Any = await redis.memory_usage(key)
        if key.startswith("job:"):
            jobs += size or 0
        elif key not in letters:
            own += size or 0
    wrong = [f"Redis holds {own:,} bytes that belong to no job"] if own > OWN_BYTES else []
    return wrong, jobs

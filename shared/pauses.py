"""Whether the fleet may ask its models now, and if not, why: what the limiters know, told to people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import fleet, keys

State = Literal["open", "paused", "down", "stopped", "probing"]
LONG_S = 5.0
"""A shorter wait that a model asks for is its everyday pace, not a pause."""
_FIELDS = ("rpm", "tpm", "seen", "down", "stopped", "paused_until", "why")


class LimitStats(msgspec.Struct, frozen=True, kw_only=True):
    """A model's limits as learnt (0: none known), and whether the fleet is paused for it and why."""

    model: str
    rpm: int
    tpm: int
    state: State
    """open, paused (asked to wait), down (calls fail), stopped (the key is refused), probing (no answer yet)."""
    why: str
    wait_s: float = 0.0
    """Of `paused`: how long still."""

    @property
    def pause(self) -> str:
        """What this keeps people waiting for, a sentence; empty where it does not."""
        why = self.why.rstrip(".") or "no reason is known"
        if self.state == "stopped":
            return (
                f"The model {self.model} refuses the fleet until a person acts: {why}. One call at a time tries again."
            )
        if self.state == "down":
            return f"The model {self.model} is down: {why}. One call at a time tries again."
        if self.state == "paused" and self.wait_s >= LONG_S:
            return f"The model {self.model} asks to wait {self.wait_s:.0f} s more: {why}."
        return ""


async def limits(redis: Redis, models: Iterable[str]) -> list[LimitStats]:
    """Of these models; those that were not used lately are left out. One round trip."""
    wanted = list(models)
    async with redis.pipeline(transaction=False) as pipe:
        for model in wanted:
            pipe.hmget(keys.limiter(model), list(_FIELDS))
        pipe.time()
        *found, (seconds, micros) = await pipe.execute()
    now_ms = seconds * 1000 + micros / 1000
    return [_stats(model, known, now_ms) for model, known in zip(wanted, found, strict=True) if any(known)]


def _stats(model: str, known: list[Any], now_ms: float) -> LimitStats:
    rpm, tpm, seen, down, stopped, paused_until, why = known
    wait_s = max(0.0, (float(paused_until or 0) - now_ms) / 1000)
    state: State = "open" if seen else "probing"
    if stopped:
        state = "stopped"
    elif down:
        state = "down"
    elif wait_s:
        state = "paused"
    told = "" if state == "open" else why or ""
    return LimitStats(model=model, rpm=int(rpm or 0), tpm=int(tpm or 0), state=state, why=told, wait_s=round(wait_s, 1))


async def by_service(redis: Redis) -> dict[str, list[str]]:
    """Service -> the models that its live processes call, each once, in order of their names."""
    found: dict[str, set[str]] = {}
    for sign in (await fleet.living(redis)).values():
        found.setdefault(sign.service, set()).update(sign.models)
    return {service: sorted(models) for service, models in found.items()}


async def told(redis: Redis, models: Iterable[str]) -> list[LimitStats]:
    """Those of these models that keep the fleet waiting; none where Redis can't be asked, which is told elsewhere."""
    try:
        return [stats for stats in await limits(redis, models) if stats.pause]
    except (RedisError, OSError):
        return []

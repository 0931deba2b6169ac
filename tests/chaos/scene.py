"""What faults are done to, and the notes on what was done."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec
from redis.asyncio import Redis

from tests.chaos.fleet import Fleet
from tests.chaos.load import Load
from tests.chaos.scale import Scale
from tests.chaos.schedule import Fault
from tests.chaos.store import Store
from tests.standin.process import Remote

log = logging.getLogger(__name__)


class Done(msgspec.Struct, kw_only=True):
    """A fault that happened. Times are monotonic."""

    kind: str
    at: float
    what: str
    at_risk: int = 0
    """Calls to the model that it may have cost."""
    recovered: float | None = None
    """When the next page ended after it, or after the server was back."""


class Scene:
    """A fleet, all that it needs, and what was done to it."""

    def __init__(self, fleet: Fleet, store: Store, model: Remote, load: Load, redis: Redis, scale: Scale) -> None:
        """`redis`: a way to the server that no fault is done to."""
        self.fleet = fleet
        self.store = store
        self.model = model
        self.load = load
        self.redis = redis
        self.scale = scale
        self.done: list[Done] = []
        self.mixed = asyncio.Lock()
        """Held while processes of the previous release run, and by what they are known not to survive."""

    def note(self, fault: Fault, what: str, at_risk: int = 0) -> Done:
        done = Done(kind=fault.kind, at=time.monotonic(), what=what, at_risk=at_risk)
        self.done.append(done)
        log.info("%7.2f s  %-20s %s", fault.at_s, fault.kind, what)
        return done

    async def in_flight(self, service: str = "") -> int:
        """Calls in flight, at most those that one process of the service can have."""
        now = (await self.model.stats()).in_flight
        return min(now, self.scale.in_hand(service)) if service else now

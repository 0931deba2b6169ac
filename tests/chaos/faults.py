"""Does what the schedule says, and notes what it may have cost."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.events import FACTS
from tests.chaos.fleet import Fleet, Part
from tests.chaos.load import Load
from tests.chaos.scale import Scale
from tests.chaos.schedule import Fault
from tests.chaos.store import Store, destroy_group
from tests.chaos.storms import STORMS, Weather
from tests.fleets import PROJECT
from tests.proxies import Proxy
from tests.standin.calls import Call
from tests.standin.process import Remote

log = logging.getLogger(__name__)

LOST_S = 1.0
RECORDED_S = 1.0
"""From an answer of the model to its recorded outcome, at most."""
CLOCK_S = 60.0
ROOM_BYTES = 200_000
"""What Redis may still take when it is out of memory."""


class Done(msgspec.Struct, kw_only=True):
    """A fault that happened. Times are monotonic."""

    kind: str
    at: float
    what: str
    at_risk: int = 0
    """Calls to the model that it may have cost."""
    recovered: float | None = None
    """When the next page ended after it, or after the server was back."""


class Faults:
    """Of one run."""

    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        model: Remote,
        load: Load,
        redis: Redis,
        scale: Scale,
        *,
        previous: Path | None,
    ) -> None:
        self.done: list[Done] = []
        self.impossible: list[str] = []
        self._fleet = fleet
        self._store = store
        self._model = model
        self._load = load
        self._redis = redis
        self._scale = scale
        self._previous = previous
        self._weather = Weather(model)
        self._server = asyncio.Lock()  # it dies once at a time
        self._rolling = asyncio.Lock()
        self._full = 0

    @property
    def at_risk(self) -> int:
        return sum(done.at_risk for done in self.done)

    @property
    def counts(self) -> Counter[str]:
        return Counter(done.kind for done in self.done)

    async def run(self, planned: list[Fault]) -> None:
        """Do them at their times; returns when the last one is over."""
        began = time.monotonic()
        await self._weather.clear_up()
        async with asyncio.TaskGroup() as group:
            for fault in planned:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                group.create_task(self._one(fault), name=fault.kind)

    async def _one(self, fault: Fault) -> None:
        does: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "black_hole": self._black_hole,
            "reset": self._reset,
            "lost_replies": self._lost_replies,
            "redis_kill": self._redis_kill,
            "redis_loses_a_second": self._redis_kill,
            "group_lost": self._group_lost,
            "script_flush": self._script_flush,
            "redis_oom": self._redis_oom,
            "disk_full": self._disk_full,
            "clock_off": self._clock_off,
            "rolling": self._roll,
        }
        try:
            await does.get(fault.kind, self._storm)(fault)
        except (RedisError, OSError) as error:  # the server is away: this fault meets another one
            self.impossible.append(f"{fault.kind} at {fault.at_s} s: {error}")

    def _note(self, fault: Fault, what: str, at_risk: int = 0) -> Done:
        done = Done(kind=fault.kind, at=time.monotonic(), what=what, at_risk=at_risk)
        self.done.append(done)
        log.info("%7.2f s  %-20s %s", fault.at_s, fault.kind, what)
        return done

    def _part(self, fault: Fault) -> Part:
        """The process that the schedule names, or where that one does not run, the next one that does."""
        parts = self._fleet.parts
        first = fault.choice % len(parts)
        inorder = parts[first:] + parts[:first]
        return next((part for part in inorder if part.pid is not None and not part.stopped), inorder[0])

    def _proxy(self, fault: Fault) -> Proxy:
        return self._fleet.proxies[fault.choice % len(self._fleet.proxies)]

    async def _in_flight(self, service: str = "") -> int:
        """Calls in flight, at most those that one process of the service can have."""
        now = (await self._model.stats()).in_flight
        return min(now, self._scale.in_hand(service)) if service else now

    # Processes ------------------------------------------------------------------------------------------------------

    async def _kill(self, fault: Fault) -> None:
        part = self._part(fault)
        risk = await self._in_flight(part.service)
        if part.send(signal.SIGKILL):
            self._note(fault, f"{part.name} ({part.worker})", risk)

    async def _stop(self, fault: Fault) -> None:
        part = self._part(fault)
        risk = await self._in_flight(part.service)
        process = part.process
        if not part.send(signal.SIGSTOP):
            return
        self._note(fault, f"{part.name} for {fault.lasts_s} s", risk)
        await asyncio.sleep(fault.lasts_s)
        if part.process is process:  # else it was killed meanwhile, and another one fills its place
            part.send(signal.SIGCONT)

    async def _clock_off(self, fault: Fault) -> None:
        workers = self._fleet.of("page_worker")
        part = workers[fault.choice % len(workers)]
        off_s = CLOCK_S if fault.choice % 2 else -CLOCK_S
        part.clock.write_bytes(struct.pack("d", off_s))
        self._note(fault, f"{part.name} by {off_s:+.0f} s for {fault.lasts_s} s")
        await asyncio.sleep(fault.lasts_s)
        part.clock.write_bytes(bytes(8))

    async def _roll(self, fault: Fault) -> None:
        if self._previous is None:
            self.impossible.append(f"rolling at {fault.at_s} s: this copy of the project lacks the previous release")
            return
        async with self._rolling:
            half = [part for part in self._fleet.parts if (int(part.name.rpartition("-")[2]) + fault.choice) % 2]
            self._note(fault, f"{', '.join(part.name for part in half)}; back after {fault.lasts_s} s")
            for part in half:
                await self._replace(part, self._previous)
            await asyncio.sleep(fault.lasts_s)
            for part in half:
                await self._replace(part, PROJECT)

    async def _replace(self, part: Part, tree: Path) -> None:
        """Drain it, and let its place be filled from `tree`."""
        part.tree = tree
        starts = part.starts
        part.send(signal.SIGTERM)
        while part.starts == starts or part.pid is None:
            await asyncio.sleep(0.1)

    async def _disk_full(self, fault: Fault) -> None:
        """No process can write to a file: the kernel refuses it as on a full disk, but with EFBIG instead of ENOSPC."""
        self._limit_files(0)
        self._note(fault, f"for {fault.lasts_s} s")
        self._full += 1
        await asyncio.sleep(fault.lasts_s)
        self._full -= 1
        if not self._full:
            self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, limit: int) -> None:
        for part in self._fleet.parts:
            with suppress(ProcessLookupError):
                if part.pid is not None:
                    resource.prlimit(part.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    # Redis ----------------------------------------------------------------------------------------------------------

    async def _black_hole(self, fault: Fault) -> None:
        proxy = self._proxy(fault)
        self._note(fault, f"a third of the fleet for {fault.lasts_s} s, {proxy.links} connections")
        proxy.mode = "black_hole"
        await asyncio.sleep(fault.lasts_s)
        proxy.mode = "pass"
        proxy.reset_all()  # what was swallowed never comes: TCP would go on with nothing less than it

    async def _reset(self, fault: Fault) -> None:
        self._note(fault, f"{self._proxy(fault).reset_all()} connections")

    async def _lost_replies(self, fault: Fault) -> None:
        count = 1 + fault.choice % 20
        self._proxy(fault).drop_replies(count, to=lambda request: b"EVALSHA" in request or fault.choice % 3 == 0)
        self._note(fault, f"the next {count}")

    async def _redis_kill(self, fault: Fault) -> None:
        async with self._server:
            loses = fault.kind == "redis_loses_a_second"
            risk = await self._in_flight()
            calls = await self._model.calls() if loses else []
            await self._store.kill()
            what, since = f"away for {fault.lasts_s} s", 0.0
            if loses:
                since, lost = self._store.lose(LOST_S)
                what += f", {lost:,} bytes lost"
                risk += _answered_since(calls, time.time() - (time.monotonic() - since))
            done = self._note(fault, what, risk)
            await asyncio.sleep(fault.lasts_s)
            await self._store.start()
            if loses:
                self._load.forget_since(since)
            done.at = time.monotonic()

    async def _group_lost(self, fault: Fault) -> None:
        fact = FACTS[fault.choice % len(FACTS)]
        risk = await self._in_flight(fact.group) * len(self._fleet.of(fact.group))
        await destroy_group(self._redis, fact.stream, fact.group)
        self._note(fault, fact.stream, risk)

    async def _script_flush(self, fault: Fault) -> None:
        await self._redis.script_flush()
        self._note(fault, "")

    async def _redis_oom(self, fault: Fault) -> None:
        async with self._server:
            used = (await self._redis.info("memory"))["used_memory"]
            await self._redis.config_set("maxmemory", used + ROOM_BYTES)
            self._note(fault, f"at {used:,} bytes for {fault.lasts_s} s")
            await asyncio.sleep(fault.lasts_s)
            await self._redis.config_set("maxmemory", 0)

    # The model ------------------------------------------------------------------------------------------------------

    async def _storm(self, fault: Fault) -> None:
        assert fault.kind in STORMS
        self._note(fault, f"for {fault.lasts_s} s")
        async with self._weather.storm(fault.kind):
            await asyncio.sleep(fault.lasts_s)


def _answered_since(calls: Sequence[Call], at: float) -> int:
    """Calls whose results the server may have lost: an answer takes a moment to become a recorded outcome."""
    return sum(call.ended is not None and call.ended >= at - RECORDED_S for call in calls)

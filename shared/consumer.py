"""The loop that every service runs: read, handle, record. Every delivery promise stands here or is pointed to.

Promises
1. Only as many entries are read as there are free slots.
2. An entry is worked on under a lease (`shared/lease.py`). Entries of the dead are taken over (`shared/reclaim.py`)
   before anything new is read, with one slot more than that has.
3. What comes of an entry is recorded before it leaves the stream (`shared/work.py`).
4. A blocked read is never cancelled (`shared/intake.py`).
5. After SIGTERM nothing is read; what is in hand is finished within the grace, the rest is given back at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from redis.exceptions import RedisError

from shared import bus, limiter, logs, metrics, reclaim
from shared.events import Fact
from shared.intake import LONGEST_NAP_S, Intake, nap
from shared.lease import Held, Leases
from shared.ledger import Entry
from shared.limiter import Limiter, Permit
from shared.suspects import Suspects
from shared.work import Handler, Unrecorded, Work

if TYPE_CHECKING:
    from shared.service import App

log = logging.getLogger(__name__)

RECLAIMS = 6
"""Looks for stale entries in a lease's span: of 30 s every 5 s."""


class Stage(msgspec.Struct, frozen=True):
    """A stream and what is done with its entries, up to `slots` of them at once.

    With `permits`, a permit of the model's limiter is taken for each entry before it is read.
    """

    fact: type[Fact]
    handler: Handler
    slots: int
    permits: Limiter | None = None


class Consumer:
    """Reads one stage's stream until the process is told to stop."""

    def __init__(self, stage: Stage, app: App[Any], suspects: Suspects, on_done: Callable[[], None]) -> None:
        self.stage = stage
        self._app = app
        self._stage_work = Work(
            stage.handler, ledger=app.ledger, suspects=suspects, max_attempts=app.settings.max_attempts
        )
        self._on_done = on_done
        self._leases = Leases(app.ledger, stage.fact, lease_s=app.settings.lease_s)
        self._intake = Intake(stage.fact, self._leases, worker=app.worker, ledger=app.ledger, permits=stage.permits)
        self._freed = asyncio.Event()
        self._taking_over = False
        self._group = asyncio.TaskGroup()

    @property
    def busy(self) -> int:
        return len(self._leases)

    async def run(self) -> None:
        """Read until `stop`, then drain."""
        self._app.control.on_cancel(self._leases.abort_run)
        metrics.SLOTS.labels(self.stage.fact.stream).set(self.stage.slots)
        async with self._group:
            self._group.create_task(self._leases.keep(), name="leases")
            reclaimer = self._group.create_task(self._reclaim(), name="reclaim")
            await self._read()
            await reclaimer
            await self._drain()
            self._leases.close()

    async def _read(self) -> None:
        stop = self._app.stop
        async with bus.reader(self._app.settings.redis_url) as redis:
            while room := await self._room():
                try:
                    work = await self._intake.read(redis, room, stop)
                    for entry, permit in work:
                        self._start(entry, permit)
                    if work:
                        await self._app.ledger.release()
                except (RedisError, OSError) as error:
                    log.warning("not read: %s", error, extra={"action": "read_failed"})
                    await nap(stop, random.uniform(0.2, 1))

    async def _room(self) -> int:
        """Slots that new entries may take; waits for one, or for `stop` (then 0)."""
        while not self._app.stop.is_set():
            if not self._taking_over and (room := self.stage.slots - len(self._leases)) > 0:
                return room
            await self._slot_freed()
        return 0

    async def _room_for_the_dead(self) -> bool:
        """Waits for a slot while nothing new is read; False at `stop`."""
        while not self._app.stop.is_set():
            if len(self._leases) <= self.stage.slots:
                return True
            await self._slot_freed()
        return False

    async def _slot_freed(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(LONGEST_NAP_S):
                await self._freed.wait()
        except TimeoutError:
            return

    async def _reclaim(self) -> None:
        idle_ms = int(self._app.settings.lease_s * 1000)
        next_at = time.monotonic()
        while not self._app.stop.is_set():
            if time.monotonic() < next_at:
                await nap(self._app.stop, next_at - time.monotonic())
                continue
            try:
                steady_s = self._app.liveness.steady_s
                async for stale in reclaim.find(self._app.redis, self.stage.fact, idle_ms=idle_ms, steady_s=steady_s):
                    if stale.entry.id in self._leases:  # ours: we were paused, and our renewal is on its way
                        continue
                    self._taking_over = True
                    if not await self._room_for_the_dead():
                        break
                    entry = await reclaim.take(self._app.ledger, stale, idle_ms=idle_ms)
                    if entry is not None:
                        metrics.RECLAIMED.labels(self.stage.fact.stream).inc()
                        self._start(entry, None)
            except (RedisError, OSError, msgspec.ValidationError) as error:
                log.warning("nothing reclaimed: %s", error, extra={"action": "reclaim_failed"})
            self._taking_over = False
            self._freed.set()
            next_at = time.monotonic() + self._app.settings.lease_s / RECLAIMS * random.uniform(0.8, 1.2)

    # One entry ------------------------------------------------------------------------------------------------------

    def _start(self, entry: Entry, permit: Permit | None) -> None:
        held = self._leases.hold(entry)
        held.task = self._group.create_task(self._work(held, permit), name=entry.fact.unit)
        metrics.BUSY.labels(self.stage.fact.stream).set(self.busy)

    async def _work(self, held: Held, permit: Permit | None) -> None:
        entry, stream, started = held.entry, self.stage.fact.stream, time.monotonic()
        limiter.carry(permit)
        ending = "lost"
        with logs.context(job=entry.fact.job, unit=entry.fact.unit, entry=entry.id):
            try:
                ending = await self._stage_work.do(held)
            except (Unrecorded, RedisError, OSError) as error:
                # The entry stays in our pending list: whoever reaches the server after its lease takes it over.
                log.warning("outcome not recorded: %s", error, extra={"action": "record_failed"})
            finally:
                self._leases.let_go(entry.id)
                self._freed.set()
                metrics.ENTRIES.labels(stream, ending).inc()
                metrics.WORK_SECONDS.labels(stream).observe(time.monotonic() - started)
                metrics.BUSY.labels(stream).set(self.busy)
                self._on_done()
                if permit is not None and self.stage.permits is not None:
                    await self.stage.permits.give_back([permit])

    async def _drain(self) -> None:
        if tasks := self._leases.tasks():
            await asyncio.wait(tasks, timeout=self._app.settings.grace_s)
        self._leases.abort_all("stop")
        if tasks := self._leases.tasks():
            await asyncio.wait(tasks)


async def consume(stages: tuple[Stage, ...], app: App[Any]) -> None:
    """Run a consumer for each stage; returns when all have drained."""
    handled = 0

    def on_done() -> None:
        nonlocal handled
        handled += 1
        if handled == app.settings.max_tasks_per_worker:
            log.info("worked off MAX_TASKS_PER_WORKER", extra={"action": "worked_off", "entries": handled})
            app.stop.set()

    suspects = Suspects(app.redis, worker=app.worker)
    consumers = [Consumer(stage, app, suspects, on_done) for stage in stages]
    app.liveness.slots = lambda: (sum(stage.slots for stage in stages), sum(c.busy for c in consumers))
    async with asyncio.TaskGroup() as group:
        for consumer in consumers:
            group.create_task(consumer.run(), name=consumer.stage.fact.stream)

"""Faults that are done to Redis, or to the way to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from redis.exceptions import ResponseError

from shared.events import FACTS
from tests.chaos.scene import Scene
from tests.chaos.schedule import Fault
from tests.proxies import Proxy
from tests.standin.calls import Call

LOST_S = 1.0
RECORDED_S = 1.0
"""From an answer of the model to its recorded outcome, at most."""
ROOM_BYTES = 200_000
"""What the server may still take when it is out of memory."""


class OnRedis:
    """One method a kind."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._server = asyncio.Lock()  # it dies once at a time

    async def black_hole(self, fault: Fault) -> None:
        proxy = self._proxy(fault)
        self._scene.note(fault, f"a third of the fleet for {fault.lasts_s} s, {proxy.links} connections")
        proxy.mode = "black_hole"
        await asyncio.sleep(fault.lasts_s)
        proxy.mode = "pass"
        proxy.reset_all()  # what was swallowed never comes: TCP would go on with nothing less than it

    async def reset(self, fault: Fault) -> None:
        self._scene.note(fault, f"{self._proxy(fault).reset_all()} connections")

    async def lost_replies(self, fault: Fault) -> None:
        """Every third time of whatever is sent next, else of scripts only: what must not be done twice."""
        count, any_will_do = 1 + fault.choice % 20, fault.choice % 3 == 0
        self._proxy(fault).drop_replies(count, to=lambda request: any_will_do or b"EVALSHA" in request)
        self._scene.note(fault, f"the next {count}")

    async def kill(self, fault: Fault) -> None:
        async with self._server:
            await self._kill(fault, loses=False)

    async def lose_a_second(self, fault: Fault) -> None:
        """Not beside processes of the previous release: they bring results that rest on what is lost."""
        async with self._scene.mixed, self._server:
            await self._kill(fault, loses=True)

    async def _kill(self, fault: Fault, *, loses: bool) -> None:
        scene = self._scene
        risk = await scene.in_flight()
        calls = await scene.model.calls() if loses else []
        await scene.store.kill()
        what, since = f"away for {fault.lasts_s} s", 0.0
        if loses:
            since, lost = scene.store.lose(LOST_S)
            what += f", {lost:,} bytes lost"
            risk += _answered_since(calls, time.time() - (time.monotonic() - since))
        done = scene.note(fault, what, risk)
        await asyncio.sleep(fault.lasts_s)
        await scene.store.start()
        if loses:
            scene.load.forget_since(since)
        done.at = time.monotonic()

    async def lose_group(self, fault: Fault) -> None:
        scene, fact = self._scene, FACTS[fault.choice % len(FACTS)]
        risk = await scene.in_flight(fact.group) * len(scene.fleet.of(fact.group))
        try:
            await scene.redis.xgroup_destroy(fact.stream, fact.group)
        except ResponseError as error:
            if "requires the key to exist" not in str(error):
                raise
        scene.note(fault, fact.stream, risk)

    async def flush_scripts(self, fault: Fault) -> None:
        await self._scene.redis.script_flush()
        self._scene.note(fault, "")

    async def fill(self, fault: Fault) -> None:
        async with self._server:
            redis = self._scene.redis
            used = (await redis.info("memory"))["used_memory"]
            await redis.config_set("maxmemory", used + ROOM_BYTES)
            self._scene.note(fault, f"at {used:,} bytes for {fault.lasts_s} s")
            await asyncio.sleep(fault.lasts_s)
            await redis.config_set("maxmemory", 0)

    def _proxy(self, fault: Fault) -> Proxy:
        proxies = self._scene.fleet.proxies
        return proxies[fault.choice % len(proxies)]


def _answered_since(calls: Sequence[Call], at: float) -> int:
    """Calls whose results the server may have lost: an answer takes a moment to become a recorded outcome."""
    return sum(call.ended is not None and call.ended >= at - RECORDED_S for call in calls)

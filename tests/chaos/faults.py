"""Does what the schedule says when it says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.exceptions import RedisError

from tests.chaos.on_processes import NotPossible, OnProcesses
from tests.chaos.on_redis import OnRedis
from tests.chaos.scene import Scene
from tests.chaos.schedule import Fault, Kind
from tests.chaos.storms import STORMS, Weather


class Faults:
    """Of one run."""

    def __init__(self, scene: Scene, *, previous: Path | None) -> None:
        self.impossible: list[str] = []
        self._scene = scene
        self._weather = Weather(scene.model)
        processes, redis = OnProcesses(scene, previous=previous), OnRedis(scene)
        self._does: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            "kill": processes.kill,
            "stop": processes.stop,
            "disk_full": processes.disk_full,
            "clock_off": processes.clock_off,
            "rolling": processes.roll,
            "black_hole": redis.black_hole,
            "reset": redis.reset,
            "lost_replies": redis.lost_replies,
            "redis_kill": redis.kill,
            "redis_loses_a_second": redis.lose_a_second,
            "group_lost": redis.lose_group,
            "script_flush": redis.flush_scripts,
            "redis_oom": redis.fill,
        }

    async def run(self, planned: list[Fault]) -> None:
        """Do them at their times; returns when the last one is over."""
        began = time.monotonic()
        await self._weather.clear_up()
        async with asyncio.TaskGroup() as group:
            for fault in planned:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                group.create_task(self._one(fault), name=fault.kind)

    async def _one(self, fault: Fault) -> None:
        try:
            await self._does.get(fault.kind, self._storm)(fault)
        except (RedisError, OSError, NotPossible) as error:  # for example, the server is away: two faults have met
            self.impossible.append(f"{fault.kind} at {fault.at_s} s: {error}")

    async def _storm(self, fault: Fault) -> None:
        assert fault.kind in STORMS
        self._scene.note(fault, f"for {fault.lasts_s} s")
        async with self._weather.storm(fault.kind):
            await asyncio.sleep(fault.lasts_s)

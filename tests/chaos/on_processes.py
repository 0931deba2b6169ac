"""Faults that are done to processes: they die, stand still, cannot write, have a wrong clock, are an older release."""

from __future__ import annotations

import asyncio
import resource
import signal
import struct
from contextlib import suppress
from pathlib import Path

from tests.chaos.fleet import Part
from tests.chaos.scene import Scene
from tests.chaos.schedule import Fault
from tests.fleets import PROJECT

CLOCK_S = 60.0


class NotPossible(Exception):
    """A fault can't be done here; the message says why."""


class OnProcesses:
    """One method a kind."""

    def __init__(self, scene: Scene, *, previous: Path | None) -> None:
        """`previous`: where the files of the release before this one lie, if they are to be had."""
        self._scene = scene
        self._previous = previous
        self._full = 0

    async def kill(self, fault: Fault) -> None:
        part = self._part(fault)
        risk = await self._scene.in_flight(part.service)
        if part.send(signal.SIGKILL):
            self._scene.note(fault, f"{part.name} ({part.worker})", risk)

    async def stop(self, fault: Fault) -> None:
        part = self._part(fault)
        risk = await self._scene.in_flight(part.service)
        process = part.process
        if not part.send(signal.SIGSTOP):
            return
        self._scene.note(fault, f"{part.name} for {fault.lasts_s} s", risk)
        await asyncio.sleep(fault.lasts_s)
        if part.process is process:  # else it was killed meanwhile, and another one fills its place
            part.send(signal.SIGCONT)

    async def clock_off(self, fault: Fault) -> None:
        workers = self._scene.fleet.of("page_worker")
        part = workers[fault.choice % len(workers)]
        off_s = CLOCK_S if fault.choice % 2 else -CLOCK_S
        _set_clock(part, off_s)
        self._scene.note(fault, f"{part.name} by {off_s:+.0f} s for {fault.lasts_s} s")
        await asyncio.sleep(fault.lasts_s)
        _set_clock(part, 0)

    async def disk_full(self, fault: Fault) -> None:
        """No process can write to a file: the kernel refuses it as on a full disk, but with EFBIG instead of ENOSPC."""
        self._limit_files(0)
        self._scene.note(fault, f"for {fault.lasts_s} s")
        self._full += 1
        await asyncio.sleep(fault.lasts_s)
        self._full -= 1
        if not self._full:
            self._limit_files(resource.RLIM_INFINITY)

    async def roll(self, fault: Fault) -> None:
        """Replace half of the processes by those of the previous release, one by one, and then by ours again."""
        if self._previous is None:
            raise NotPossible("this copy of the project lacks the commit of the previous release")
        async with self._scene.mixed:
            parts = self._scene.fleet.parts
            half = [part for part in parts if (int(part.name.rpartition("-")[2]) + fault.choice) % 2]
            self._scene.note(fault, f"{', '.join(part.name for part in half)}; back after {fault.lasts_s} s")
            for part in half:
                await self._replace(part, self._previous)
            await asyncio.sleep(fault.lasts_s)
            for part in half:
                await self._replace(part, PROJECT)

    def _part(self, fault: Fault) -> Part:
        """The process that the schedule names, or where that one does not run, the next one that does."""
        parts = self._scene.fleet.parts
        first = fault.choice % len(parts)
        inorder = parts[first:] + parts[:first]
        return next((part for part in inorder if part.pid is not None and not part.stopped), inorder[0])

    async def _replace(self, part: Part, tree: Path) -> None:
        """Drain it, and let its place be filled from `tree`."""
        part.tree = tree
        starts = part.starts
        part.send(signal.SIGTERM)
        while part.starts == starts or part.pid is None:
            await asyncio.sleep(0.1)

    def _limit_files(self, limit: int) -> None:
        for part in self._scene.fleet.parts:
            with suppress(ProcessLookupError):
                if part.pid is not None:
                    resource.prlimit(part.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _set_clock(part: Part, off_s: float) -> None:
    """Written in place: its process has the file mapped, and would not survive that it is empty for a moment."""
    with part.clock.open("r+b") as file:
        file.write(struct.pack("d", off_s))

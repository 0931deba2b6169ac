"""Watches processes while a run lasts: their CPU time, and the peaks of their memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from benchmarks import processes
from benchmarks.parameters import SAMPLE_S
from benchmarks.processes import Kind, Pid

APART = ("redis", "stand-in", "benchmark")
"""Kinds that are no process of Quire."""


class Usage(msgspec.Struct, kw_only=True):
    """Of all processes of a kind. Memory is the unique set size."""

    processes: int = 0
    cpu_s: float = 0
    peak_bytes: int = 0
    """Of the largest process, at any moment."""
    peak_together_bytes: int = 0


class Meter:
    """What was used since the block began. `kinds`: looked at for each sample, as processes come and go."""

    def __init__(self, kinds: Callable[[], dict[Pid, Kind]]) -> None:
        self._look = kinds
        self._began = time.monotonic()
        self._kinds = self._find()
        self._before = {pid: processes.cpu_s(pid) or 0.0 for pid in self._kinds}
        self._cpu = dict(self._before)
        self._cores = os.sched_getaffinity(0)
        self._busy_before = processes.busy_s(self._cores)
        self.seconds = 0.0
        self.elsewhere_s = 0.0
        """CPU time that went to anything else: other programs, and the system's own threads."""
        self.quire_bytes = 0
        """Peak of all of Quire's processes together."""
        self.quire_before_bytes = 0
        self.usage: dict[Kind, Usage] = {}

    def sample(self) -> None:
        """Look once. A process that has ended keeps what it had used when it was last seen."""
        found = self._find()
        self._kinds |= found
        self.seconds = time.monotonic() - self._began
        for pid in found:
            self._cpu[pid] = max(processes.cpu_s(pid) or 0.0, self._cpu.get(pid, 0.0))
        together: Counter[Kind] = Counter()
        for pid, kind in found.items():
            size = processes.uss_bytes(pid) or 0
            together[kind] += size
            usage = self.usage.setdefault(kind, Usage())
            usage.peak_bytes = max(usage.peak_bytes, size)
        self._sum(together, Counter(found.values()))

    def _find(self) -> dict[Pid, Kind]:
        return {**self._look(), os.getpid(): "benchmark"}

    def _sum(self, together: Counter[Kind], count: Counter[Kind]) -> None:
        for kind, usage in self.usage.items():
            usage.processes = max(usage.processes, count[kind])
            usage.peak_together_bytes = max(usage.peak_together_bytes, together[kind])
            mine = [pid for pid, its in self._kinds.items() if its == kind]
            usage.cpu_s = sum(self._cpu.get(pid, 0.0) - self._before.get(pid, 0.0) for pid in mine)
        quire = sum(size for kind, size in together.items() if kind not in APART)
        self.quire_bytes = max(self.quire_bytes, quire)
        self.quire_before_bytes = self.quire_before_bytes or quire
        ours = sum(usage.cpu_s for usage in self.usage.values())
        self.elsewhere_s = max(0.0, processes.busy_s(self._cores) - self._busy_before - ours)


@asynccontextmanager
async def metering(kinds: Callable[[], dict[Pid, Kind]]) -> AsyncIterator[Meter]:
    """Sample from the block's beginning to its end; then the meter holds what was used meanwhile."""
    meter = Meter(kinds)
    ended = asyncio.Event()
    sampling = asyncio.create_task(_sampling(meter, ended), name="sampling")
    try:
        yield meter
    finally:
        ended.set()
        await sampling


async def _sampling(meter: Meter, ended: asyncio.Event) -> None:
    while not ended.is_set():
        await asyncio.to_thread(meter.sample)  # in a thread: the upload and the looks at the job go on
        with suppress(TimeoutError):
            async with asyncio.timeout(SAMPLE_S):
                await ended.wait()
    await asyncio.to_thread(meter.sample)

"""Watches a run from beside it: which rare paths were taken, how soon work went on, how large everything is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError

from shared import keys
from tests.chaos.fleet import Fleet
from tests.chaos.scene import Scene
from tests.chaos.store import Errors

LOOK_S = 0.2
SCRAPE_S = 2.0
PATHS = {
    "an entry was taken over from a dead worker": ("log", "reclaimed"),
    "an outcome found that somebody had been faster": ("metric", "duplicate"),
    "an outcome or a failure came too late": ("metric", "gone"),
    "an entry waited for another try, out of the stream": ("log", "defer"),
    "an entry was given up": ("log", "fail"),
    "an entry was given back at a shutdown": ("log", "given_back"),
    "a lease was lost": ("log", "lease_lost"),
    "a lease was not renewed": ("log", "renew_failed"),
    "an outcome was recorded again because its reply was lost": ("log", "record_repeat"),
    "an outcome could not be recorded": ("log", "record_failed"),
    "a read failed": ("log", "read_failed"),
    "the fleet paused in an outage of the model": ("limiter", "down"),
    "the fleet waited as a 429 said": ("limiter", "paused"),
    "a group was made again (NOGROUP)": ("server", "NOGROUP"),
    "a script was sent again (NOSCRIPT)": ("server", "NOSCRIPT"),
    "the server refused for want of memory (OOM)": ("server", "OOM"),
    "the keeper put something back": ("log", "reconciled"),
    "a worker waited for the blob store": ("log", "blobs_wait"),
    "a process waited for Redis at its start": ("log", "redis_wait"),
    "a process drained": ("log", "stop"),
}
"""What must be seen to have happened, in words, and what proves it."""


class Observer:
    """Of one run."""

    def __init__(self, scene: Scene, models: list[str]) -> None:
        self.errors = Errors()
        self.limited: Counter[str] = Counter()
        self._fleet = scene.fleet
        self._redis = scene.redis
        self._done = scene.done
        self._models = models
        self._endings: dict[int, Counter[str]] = {}

    def paths(self) -> dict[str, int]:
        """How often each of PATHS was taken, as far as it was seen."""
        endings = sum(self._endings.values(), Counter[str]())
        sources: dict[str, Counter[str] | dict[str, int]] = {
            "log": self._fleet.said,
            "metric": endings,
            "limiter": self.limited,
            "server": self.errors.counts,
        }
        return {words: sources[where].get(name, 0) for words, (where, name) in PATHS.items()}

    async def watch(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_server())
            group.create_task(self._watch_metrics())

    async def _watch_server(self) -> None:
        last = ""
        while True:
            with suppress(RedisError, OSError):
                last = await self._look(last)
            await asyncio.sleep(LOOK_S)

    async def _look(self, last: str) -> str:
        await self.errors.look(self._redis)
        for model in self._models:
            known: Any = await self._redis.hgetall(keys.limiter(model))
            self.limited["down"] += "down" in known
            self.limited["paused"] += float(known.get("paused_until", 0)) > time.time() * 1000
        ended: Any = await self._redis.hget(keys.CLOCK, "rate_ms")
        if ended and ended != last:
            now = time.monotonic()
            for done in self._done:
                if done.recovered is None and done.at < now - LOOK_S:
                    done.recovered = now
        return ended or last

    async def _watch_metrics(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                for part in self._fleet.parts:
                    pid = part.pid
                    if pid is None or part.stopped or part.service in ("gateway", "keeper"):
                        continue
                    with suppress(aiohttp.ClientError, TimeoutError, OSError):
                        async with session.get(f"{part.url}/metrics") as answer:
                            self._endings[pid] = endings(await answer.text())
                await asyncio.sleep(SCRAPE_S)


def endings(text: str) -> Counter[str]:
    """How this process' entries left its hands, by how."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        if family.name == "quire_entries":
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["ending"]] += int(sample.value)
    return found


def memory_mb(fleet: Fleet) -> dict[str, float]:
    """Resident memory of each part's process, render processes apart."""
    found = {}
    for part in fleet.parts:
        if part.pid is not None:
            with suppress(OSError):
                status = Path(f"/proc/{part.pid}/status").read_text()
                found[part.name] = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return found

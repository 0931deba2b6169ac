"""Cancels reach every process through the `control` stream; a call may start only while it is known to be current.

Promise: no call of a cancelled job starts later than 1 s after the cancel was announced, and those in flight are
aborted within 2 s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import bus, keys
from shared.errors import Gone

log = logging.getLogger(__name__)

BLOCK_MS = 250
FRESH_S = 0.75  # BLOCK_MS, a round trip and a busy loop: with the call's start still inside the promised second
REMEMBERED = 10_000  # cancelled runs kept in mind; entries of older ones are dropped by the ledger
CAPPED = 10_000  # entries that the stream keeps: days of cancels


class Control:
    """Tails the control stream on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._read_at = float("-inf")
        self._current = asyncio.Condition()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._listeners: list[Callable[[str], None]] = []
        self._closed = False

    def on_cancel(self, listener: Callable[[str], None]) -> None:
        """Call `listener(run)` for each run that is cancelled."""
        self._listeners.append(listener)

    async def announce(self, redis: Redis, action: str, job: str, run: str) -> None:
        """Tell every process. A repeat is harmless."""
        fields = {"action": action, "job": job, "run": run}
        await redis.xadd(keys.CONTROL, fields, maxlen=CAPPED, approximate=True)  # type: ignore[arg-type]  # redis-py types fields invariantly

    async def clear(self, job: str, run: str) -> None:
        """Return when a call for this run may start now. Raises Gone if it was cancelled."""
        while run not in self._cancelled and time.monotonic() - self._read_at > FRESH_S:
            async with self._current:
                await self._current.wait()
        if run in self._cancelled:
            raise Gone(f"{job} was cancelled")

    def close(self) -> None:
        """Let `watch` return after its read."""
        self._closed = True

    async def watch(self) -> None:
        """Read until closed; a connection that breaks is made anew."""
        last = ""
        while not self._closed:
            try:
                async with bus.reader(self._url) as redis:
                    last = last or await self._newest(redis)
                    while not self._closed:
                        last = await self._read(redis, last)
            except (RedisError, OSError) as error:
                log.warning("control stream not read: %s", error, extra={"action": "control_error"})
                await asyncio.sleep(0.5)

    @staticmethod
    async def _newest(redis: Redis) -> str:
        newest = await redis.xrevrange(keys.CONTROL, count=1)
        return str(newest[0][0]) if newest else "0"

    async def _read(self, redis: Redis, last: str) -> str:
        found: Any = await redis.xread({keys.CONTROL: last}, block=BLOCK_MS)
        for _, entries in found or []:
            for entry_id, fields in entries:
                last = entry_id
                self._remember(fields["run"])
        self._read_at = time.monotonic()
        async with self._current:
            self._current.notify_all()
        return last

    def _remember(self, run: str) -> None:
        self._cancelled[run] = None
        if len(self._cancelled) > REMEMBERED:
            self._cancelled.popitem(last=False)
        for listener in self._listeners:
            listener(run)

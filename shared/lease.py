"""A worker's hold on its entries: renewed while it works, given up only when the server says so.

Promises
1. An entry that is being worked on is not taken over from a live worker: its lease is renewed about four times in its
   span, by its owner only.
2. A worker stops its own work only when a renewal that it tried since it last woke was refused, or failed until the
   lease was over. Time alone proves nothing: a process that was paused may still own all that it holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Literal

from redis.exceptions import RedisError

from shared import metrics
from shared.events import Fact
from shared.ledger import Entry, Ledger

log = logging.getLogger(__name__)

RENEWALS = 3.75
"""Renewals in a lease's span: of 30 s every 8 s."""

Why = Literal["lost", "cancelled", "stop"]


class Held:
    """An entry in hand and the task that works on it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.task: asyncio.Task[None] | None = None
        self.why: Why | None = None
        self.begun = False
        self.recording = False
        """Its outcome is being recorded: paid for, so it is not interrupted any more (the first success wins)."""

    def abort(self, why: Why) -> None:
        """End the work; `why` tells what becomes of the entry."""
        if self.why is not None or (self.recording and why != "stop"):
            return
        self.why = why
        if self.task is not None and self.begun:  # a task that is cancelled before its first step never runs at all
            self.task.cancel()

    def begin(self) -> None:
        """To be called first by the task. Raises CancelledError where the work was ended before it began."""
        self.begun = True
        if self.why is not None:
            raise asyncio.CancelledError


class Leases:
    """All that one consumer holds."""

    def __init__(self, ledger: Ledger, fact: type[Fact], *, lease_s: float) -> None:
        self._ledger = ledger
        self._fact = fact
        self._lease_s = lease_s
        self._held: dict[str, Held] = {}
        self._closed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._held

    def hold(self, entry: Entry) -> Held:
        held = self._held[entry.id] = Held(entry)
        return held

    def let_go(self, entry_id: str) -> None:
        del self._held[entry_id]

    def abort_all(self, why: Why) -> None:
        for held in list(self._held.values()):
            held.abort(why)

    def abort_run(self, run: str) -> None:
        """The run was cancelled, or a narration in it."""
        for held in list(self._held.values()):
            if held.entry.fact.cancelled_by == run:
                held.abort("cancelled")

    def tasks(self) -> list[asyncio.Task[None]]:
        return [held.task for held in self._held.values() if held.task is not None]

    def close(self) -> None:
        """Let `keep` return: nothing is held any more."""
        self._closed.set()

    async def keep(self) -> None:
        """Renew until closed. Nothing else ends this loop.

        The next renewal is due by when the last one was asked for: a process that was paused within one learns at once
        what it has lost meanwhile, before it begins anything more.
        """
        asked_at = answered_at = time.monotonic()
        while not await self._closed_within(asked_at + self._lease_s / RENEWALS - time.monotonic()):
            asked_at = time.monotonic()
            try:
                await self._renew()
                answered_at = time.monotonic()
            except (RedisError, OSError) as error:
                metrics.RENEWALS_FAILED.labels(self._fact.stream).inc()
                log.warning("leases not renewed: %s", error, extra={"action": "renew_failed"})
                if time.monotonic() - answered_at > self._lease_s:
                    self.abort_all("lost")

    async def _closed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._closed.wait()
        except TimeoutError:
            return False

    async def _renew(self) -> None:
        ids = list(self._held)
        if not ids:
            return
        for entry_id in await self._ledger.renew(self._fact, ids):
            held = self._held.get(entry_id)
            if held is not None and not held.recording:  # else it left the stream with its outcome, just now
                log.warning("lease lost", extra={"action": "lease_lost", "entry": entry_id})
                held.abort("lost")

"""Reads a stage's entries from its stream: as many as there is room for, and no more than the model's limit allows.

Promise: a blocked read is never cancelled, because the server may already have handed over what it will answer
(measured: 299 of 300 cancelled reads left their entries with a worker that did not know of them).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared import bus
from shared.events import Fact
from shared.ledger import Entry, Ledger
from shared.limiter import Limiter, Permit

log = logging.getLogger(__name__)

LONGEST_NAP_S = 1.0  # `stop` is looked at this often
Work = tuple[Entry, Permit | None]


async def nap(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not past `stop`, and never for long."""
    try:
        async with asyncio.timeout(min(seconds, LONGEST_NAP_S)):
            await stop.wait()
    except TimeoutError:
        return


class Intake:
    """One stage's reader. With `permits`, each entry comes with one of them; `held`: entries in this worker's hands."""

    def __init__(
        self, fact: type[Fact], held: Container[str], *, worker: str, ledger: Ledger, permits: Limiter | None
    ) -> None:
        self._fact = fact
        self._worker = worker
        self._ledger = ledger
        self._permits = permits
        self._held = held

    async def read(self, redis: Redis, room: int, stop: asyncio.Event) -> list[Work]:
        """Entries for up to `room` slots, at the latest after BLOCK_MS; none where there is nothing to do.

        A group that the server has lost is made again. Raises redis' errors.
        """
        if self._permits is None:
            return [(entry, None) for entry in await self._fetch(redis, room, block=True)]
        return await self._read_permitted(redis, room, self._permits, stop)

    async def _read_permitted(self, redis: Redis, room: int, permits: Limiter, stop: asyncio.Event) -> list[Work]:
        """Block for one entry with one permit in hand; then more of both without waiting."""
        grant = await permits.take(1, looking=True)
        if grant.probe_wanted:  # who has a call to make takes it: held here, it might wait for an entry
            return [(entry, None) for entry in await self._fetch(redis, 1, block=True)]
        if not grant.permits:
            await nap(stop, grant.wait_s)
            return []
        taken = grant.permits
        entries: list[Entry] = []
        try:
            entries = await self._fetch(redis, 1, block=True)
            if entries and room > 1:
                more = (await permits.take(room - 1)).permits
                taken = taken + more
                if more:
                    entries = entries + await self._fetch(redis, len(more), block=False)
        finally:
            await permits.give_back(taken[len(entries) :])
        return list(zip(entries, taken, strict=False))

    async def _fetch(self, redis: Redis, count: int, *, block: bool) -> list[Entry]:
        fact = self._fact
        block_ms = bus.BLOCK_MS if block else None
        try:
            found: Any = await redis.xreadgroup(
                fact.group, self._worker, {fact.stream: ">"}, count=count, block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            log.warning("the group is made again: %s", error, extra={"action": "group_lost"})
            await self._ledger.prepare()
            return []
        entries = []
        for entry_id, fields in found[0][1] if found else []:
            if entry_id in self._held:  # the server has lost that it is ours, and now it is again
                log.warning("handed out again", extra={"action": "read_twice", "entry": entry_id})
                continue
            try:
                entries.append(Entry(id=entry_id, fact=fact.from_fields(fields)))
            except msgspec.ValidationError as error:
                log.warning("entry can't be read: %s", error, extra={"action": "malformed", "entry": entry_id})
                await self._ledger.malformed(fact, entry_id, str(error))
        return entries

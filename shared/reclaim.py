"""Finds entries whose worker is gone, and takes them over.

Promises
1. The whole pending list is looked at, by cursor: live entries at its head hide nothing behind them.
2. An entry that a live owner does not know of (the reply of its read was lost) is found like any other.
3. A crash is counted only against what may have caused it: where the owner gives no sign of life any more, where the
   server has not just started, and, where the owner had marked suspects, against those alone. Who has just started, or
   was away itself, can't tell the dead from the others: it leaves what they hold until it can.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from redis.asyncio import Redis

from shared.events import Fact
from shared.ledger import Entry, Ledger
from shared.suspects import blamed

log = logging.getLogger(__name__)

PAGE = 64
SETTLING = 2
"""Leases, a minute of 30 s: after its start a server knows no sign of life yet. A restart of Redis must not look like a
crash of everybody."""
STEADY = 0.5
"""Leases that a worker has given its own signs of life without a gap: where Redis could not be reached, or the machine
was asleep, whoever is back first would take all the others for dead."""


class Stale(msgspec.Struct, frozen=True):
    """An entry that was not renewed for a lease, and who held it."""

    entry: Entry
    owner: str
    crashed: bool
    """Its owner is gone, and this entry may be why."""


async def find(redis: Redis, fact: type[Fact], *, idle_ms: int, steady_s: float) -> AsyncIterator[Stale]:
    """All stale entries of a fact's stream, oldest first. `steady_s`: `Liveness.steady_s` of this process."""
    start, settled = "-", None
    while True:
        rows: Any = await redis.xpending_range(fact.stream, fact.group, min=start, max="+", count=PAGE, idle=idle_ms)
        if rows and settled is None:
            settled = (await redis.info("server"))["uptime_in_seconds"] * 1000 >= SETTLING * idle_ms
        for row in rows:
            found: Any = await redis.xrange(fact.stream, row["message_id"], row["message_id"], count=1)
            if not found:
                await redis.xack(fact.stream, fact.group, row["message_id"])
                continue
            entry = Entry(id=row["message_id"], fact=fact.from_fields(found[0][1]))
            crashed = bool(settled) and await blamed(redis, row["consumer"], entry.fact.unit)
            if crashed and steady_s * 1000 < STEADY * idle_ms:
                continue  # left until it can be told: a crash that nobody counts would never bury what causes it
            yield Stale(entry, row["consumer"], crashed)
        if len(rows) < PAGE:
            return
        start = "(" + rows[-1]["message_id"]


async def take(ledger: Ledger, stale: Stale, *, idle_ms: int) -> Entry | None:
    """Take a stale entry over; its fact then carries the crashes known of it. None if somebody else was faster."""
    crashes = await ledger.reclaim(stale.entry, owner=stale.owner, idle_ms=idle_ms, crashed=stale.crashed)
    if crashes is None:
        return None
    fact = stale.entry.fact
    extra = {"action": "reclaimed", "owner": stale.owner, "unit": fact.unit, "crashes": crashes}
    log.info("took over from %s", stale.owner, extra=extra)
    return Entry(id=stale.entry.id, fact=msgspec.structs.replace(fact, crashes=max(crashes, fact.crashes)))

"""`./quire streams`: what waits, runs and has failed in each work stream, and which worker holds how much."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from rich import box
from rich.console import Console
from rich.table import Table

from cli import outcome, server, wording
from shared import fleet
from shared.events import FACTS, Fact
from shared.fleet import Sign, StreamStats


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer of a stream's group."""

    name: str
    service: str
    """Empty where it gives no sign of life any more."""
    in_hand: int
    idle_s: float
    """Since it last asked for work, or renewed what it holds."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A work stream and who reads it."""

    stats: StreamStats
    group: str
    consumers: list[Holder]


async def streams(*, redis_url: str | None, as_json: bool) -> int:
    """Print all streams; `as_json`: `{"streams": [{"stats": …, "group": …, "consumers": […]}]}`."""
    async with server.connected(redis_url) as redis:
        living = await fleet.living(redis)
        found = [
            Stream(stats=stats, group=fact.group, consumers=await _consumers(redis, fact, living))
            for stats, fact in zip(await fleet.streams(redis), FACTS, strict=True)
        ]
    if as_json:
        print(msgspec.json.encode({"streams": found}).decode())
    else:
        show(outcome.console(), found)
    return 0


async def _consumers(redis: Redis, fact: type[Fact], living: dict[str, Sign]) -> list[Holder]:
    try:
        rows = await redis.xinfo_consumers(fact.stream, fact.group)
    except ResponseError:  # no stream or no group yet: nobody has read from it
        return []
    return [
        Holder(
            name=row["name"],
            service=living[row["name"]].service if row["name"] in living else "",
            in_hand=row["pending"],
            idle_s=row["idle"] / 1000,
        )
        for row in rows
    ]


def show(out: Console, found: list[Stream]) -> None:
    """Two tables for people: the streams, then who holds what."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stream")
    for column in ("backlog", "waiting", "in flight", "deferred", "queued", "oldest", "dead"):
        table.add_column(column, justify="right")
    for stream in found:
        stats = stream.stats
        figures = (stats.backlog, stats.waiting, stats.in_flight, stats.deferred, stats.queued)
        oldest = wording.duration(stats.oldest_age_s) if stats.oldest_age_s else ""
        table.add_row(stats.stream, *(f"{n:,}" if n else "" for n in figures), oldest, f"{stats.dead or ''}")
    out.print(table)
    holders = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("stream", "worker", "service"):
        holders.add_column(column)
    for column in ("in hand", "idle"):
        holders.add_column(column, justify="right")
    for stream in found:
        for holder in stream.consumers:
            service = holder.service or "gone"
            in_hand = str(holder.in_hand or "")
            holders.add_row(stream.stats.stream, holder.name, service, in_hand, wording.duration(holder.idle_s))
    if holders.row_count:
        out.print(holders)

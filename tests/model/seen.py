"""What a server holds of the ledger, read in one round trip and made comparable; stores nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from redis.asyncio import Redis

from shared import keys
from shared.events import FACTS, Fact
from tests.model.state import STREAMS, Held, Ring

BY_STREAM = {fact.stream: fact for fact in FACTS}
_HASHES = (keys.read, keys.gaps, keys.rendered, keys.batches, keys.gates, keys.crashes)

NO_KEY = -2  # what PTTL says


@dataclass
class SeenJob:
    """A job's keys as they are."""

    fields: dict[str, str]
    read: dict[int, dict[str, Any]]
    gaps: dict[int, dict[str, Any]]
    rendered: dict[int, dict[str, Any]]
    batches: dict[str, str]
    gates: dict[str, str]
    crashes: dict[str, str]
    lifetimes: list[int]
    """Milliseconds that its keys have left, -1 without end; of those that exist."""

    def number(self, name: str) -> int:
        return int(self.fields.get(name) or 0)

    @property
    def summaries(self) -> dict[int, dict[str, Any]]:
        return {int(k.partition(":")[2]): json.loads(v) for k, v in self.batches.items() if k.startswith("summary:")}


@dataclass
class Seen:
    """Everything. Entries that are no facts are in `garbage`."""

    streams: dict[str, dict[str, Held]] = field(default_factory=dict)
    orphans: dict[str, list[str]] = field(default_factory=dict)
    """Pending ids whose entries are gone."""
    largest: int = 0
    """Bytes of the largest entry."""
    garbage: dict[str, list[str]] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    deferred: dict[str, dict[str, float]] = field(default_factory=dict)
    bodies: dict[str, dict[str, Fact]] = field(default_factory=dict)
    queue: dict[str, float] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    rings: dict[str, Ring] = field(default_factory=dict)
    turns: set[str] = field(default_factory=set)
    """Jobs that wait to be rendered."""
    tags: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    rate: float = 0.0
    jobs: dict[str, SeenJob] = field(default_factory=dict)


async def look(redis: Redis, refs: Sequence[str]) -> Seen:
    """Read all of it, of these jobs."""
    async with redis.pipeline(transaction=True) as pipe:
        for fact in FACTS:
            pipe.xrange(fact.stream)
            pipe.xpending_range(fact.stream, fact.group, "-", "+", 10_000)
            pipe.xlen(keys.dead(fact.stream))
            pipe.zrange(keys.deferred(fact.stream), 0, -1, withscores=True)
            pipe.hgetall(keys.bodies(fact.stream))
        pipe.zrange(keys.PAGES_QUEUE, 0, -1, withscores=True)
        for name in (keys.PAGES_AT, keys.PAGES_READY, keys.BATCHES_BODIES, keys.TAGS, keys.STARTED, keys.CLOCK):
            pipe.hgetall(name)
        for name in (keys.BATCHES_QUEUE, keys.ACTIVE):
            pipe.zrange(name, 0, -1)
        for ref in refs:
            for key in (keys.job, *_HASHES):
                pipe.hgetall(key(ref))
            for key in (keys.job, *_HASHES):
                pipe.pttl(key(ref))
        answers = iter(await pipe.execute())

    seen = Seen()
    for stream in STREAMS:
        _stream(seen, stream, next(answers), next(answers))
        seen.dead[stream] = next(answers)
        seen.deferred[stream] = dict(next(answers))
        seen.bodies[stream] = {unit: _body(stream, body) for unit, body in next(answers).items()}
    seen.queue = dict(next(answers))
    seen.at = next(answers)
    seen.ready = {ref: int(number) for ref, number in next(answers).items()}
    seen.rings = {ref: _ring(body) for ref, body in next(answers).items()}
    seen.tags, seen.started = set(next(answers)), set(next(answers))
    seen.rate = float(next(answers).get("rate", 0))
    seen.turns, seen.active = set(next(answers)), set(next(answers))
    for ref in refs:
        fields, read, gaps, rendered, batches, gates, crashes = (next(answers) for _ in range(7))
        lifetimes = [left for left in (next(answers) for _ in range(7)) if left != NO_KEY]
        if fields:
            pages = [
                {int(ordinal): json.loads(record) for ordinal, record in h.items()} for h in (read, gaps, rendered)
            ]
            seen.jobs[ref] = SeenJob(fields, pages[0], pages[1], pages[2], batches, gates, crashes, lifetimes)
    return seen


def _stream(seen: Seen, stream: str, entries: Any, pending: Any) -> None:
    owners = {row["message_id"]: row["consumer"] for row in pending}
    seen.streams[stream], seen.garbage[stream] = {}, []
    for id_, fields in entries:
        owner = owners.pop(id_, None)
        try:
            seen.streams[stream][id_] = Held(BY_STREAM[stream].from_fields(fields), owner)
        except msgspec.ValidationError:
            seen.garbage[stream].append(id_)
        seen.largest = max(seen.largest, sum(len(name) + len(value) for name, value in fields.items()))
    seen.orphans[stream] = list(owners)


def _body(stream: str, body: str) -> Fact:
    flat = [str(word) for word in json.loads(body)]
    return BY_STREAM[stream].from_fields(dict(zip(flat[::2], flat[1::2], strict=True)))


def _ring(body: str) -> Ring:
    plan = json.loads(body)
    return Ring(plan["run"], [*(plan.get("todo") or []), *range(plan["next"], plan["last"] + 1)])

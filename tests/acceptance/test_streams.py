"""What a person sees with redis-cli: entries that can be read, and nothing at all once the work is done."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import redis.asyncio

from shared import keys
from shared.events import FACTS, BatchRequested, BatchSummarized, DocSubmitted, Fact, PageAnalyzed, PageRequested
from tests import pages
from tests.conftest import eventually
from tests.fleets import PAGE_MODEL, SUMMARY_MODEL, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_BYTES = 512
Entries = list[tuple[str, dict[str, str]]]


@pytest_asyncio.fixture(loop_scope="session")
async def cli(fleet: Fleet) -> AsyncIterator[redis.asyncio.Redis]:
    """A connection as redis-cli has one: it knows nothing of the fleet. Raises where something is not text."""
    pool = fleet.redis.connection_pool.connection_kwargs
    async with redis.asyncio.Redis(host=pool["host"], port=pool["port"], decode_responses=True) as client:
        yield client


@contextmanager
def paused(pids: list[int]) -> Iterator[None]:
    """These processes stand still inside the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def entries(cli: redis.asyncio.Redis, fact: type[Fact], job: str) -> Entries:
    """The job's entries in the fact's stream, once there are any."""

    async def found() -> Entries:
        waiting: Any = await cli.xrange(fact.stream)
        return [(entry_id, fields) for entry_id, fields in waiting if fields["job"] == f"local/{job}"]

    return await eventually(found)


async def assert_readable(cli: redis.asyncio.Redis, fact: type[Fact], job: str) -> None:
    """Every entry is flat text, short, and says whose it is; the stream has one group."""
    for entry_id, fields in await entries(cli, fact, job):
        text = [entry_id, *fields, *fields.values()]
        assert all(part.isprintable() for part in text)
        assert sum(len(part.encode()) for part in text) <= MOST_BYTES
        assert fact.from_fields(fields).job == fields["job"]
    assert [group["name"] for group in await cli.xinfo_groups(fact.stream)] == [fact.group]


async def images(fleet: Fleet, *numbers: int) -> str:
    job: str = (await fleet.api.images([pages.page_image(number, seed=31) for number in numbers]))["job_id"]
    return job


async def test_the_entries_of_every_stream_can_be_read_by_a_person(fleet: Fleet, cli: redis.asyncio.Redis) -> None:
    fleet.model.behave(
        Behaviour(
            rules=[
                Rule(token="page-3-", does="hang"),
                Rule(schema="batch_summary", page=2, does="hang"),  # of the document with two pages
                Rule(schema="document_summary", does="hang"),
            ]
        )
    )
    at_its_summary = await images(fleet, 1)
    await assert_readable(cli, BatchSummarized, at_its_summary)
    at_its_batch = await images(fleet, 1, 2)
    await assert_readable(cli, PageAnalyzed, at_its_batch)
    at_its_page = await images(fleet, 3)
    await assert_readable(cli, PageRequested, at_its_page)
    with paused(fleet.pids("splitter")):
        book = await fleet.api.pdf(pages.pdf(120, seed=31))
        await assert_readable(cli, DocSubmitted, book)
    await assert_readable(cli, BatchRequested, book)
    await fleet.api.cancel(book)
    announced: Any = await cli.xrevrange(keys.CONTROL, count=1)
    told = announced[0][1]
    assert (told["action"], told["job"]) == ("cancel", f"local/{book}")


async def test_an_idle_fleet_leaves_nothing_in_its_streams(fleet: Fleet, cli: redis.asyncio.Redis) -> None:
    fleet.model.behave(
        Behaviour(rules=[Rule(token="page-2-", does="content_filter"), Rule(token="page-9-", does="hang")])
    )
    partial = await images(fleet, 1, 2, 3)
    completed = await images(fleet, 1, 3)
    cancelled = await images(fleet, 1, 9)
    assert (await fleet.api.ended(partial))["status"] == "partial"
    assert (await fleet.api.ended(completed))["status"] == "completed"
    await entries(cli, PageRequested, cancelled)
    await fleet.api.cancel(cancelled)

    async def left() -> dict[str, int]:
        held = {}
        for fact in FACTS:
            held[fact.stream] = await cli.xlen(fact.stream)
            held[f"{fact.stream} pending"] = (await cli.xpending(fact.stream, fact.group))["pending"]
        return {what: count for what, count in held.items() if count}

    await eventually(left, until=lambda held: not held)
    streams = {fact.stream for fact in FACTS}
    kept = (
        streams
        | {keys.dead(stream) for stream in streams}
        | {keys.CLOCK, keys.CONTROL, keys.ENDED, keys.LIVE, keys.FITNESS_PROBE}
    )
    kept |= {keys.limiter(PAGE_MODEL), keys.limiter(SUMMARY_MODEL)}
    found: Any = await cli.keys()
    assert {key for key in found if not key.startswith(("job:", keys.live(""), keys.cache("")))} <= kept, (
        "no queue, no deferred set, no counter, no mark of any job"
    )
    for key in (key for key in found if key.startswith(keys.cache(""))):
        assert "blob" in msgspec.json.decode(await cli.get(key)), "no claim is left, only answers"
        assert await cli.ttl(key) > 0

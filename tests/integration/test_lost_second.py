"""A server that has lost its last second meets workers that have not: what they bring rests on what is no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from shared import bus
from shared.consumer import Stage
from shared.events import BatchRequested, BatchSummarized, DocSubmitted, PageAnalyzed, PageRequested
from shared.ledger import Entry
from shared.outcomes import BatchDone, DocumentDone, Noted
from shared.service import App
from shared.settings import Settings
from tests import apps, ledgers
from tests.conftest import eventually
from tests.ledgers import JOB

LOST = "1-1"
"""An entry that the server does not know any more."""


@pytest.fixture
async def app(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def test_a_batch_is_not_summarised_before_its_pages_have_ended(app: App[Settings], redis: Redis) -> None:
    run = await apps.ready_pages(app, pages=3)
    before = await ledgers.image(redis)
    fact = PageAnalyzed(job=JOB, run=run, batch=0, ordinal=2, page=3, outcome="read", last=True)
    assert await app.ledger.record(Entry(id=LOST, fact=fact), BatchDone(blob="b")) == "gone"
    assert await ledgers.image(redis) == before
    await ledgers.read_all(app)
    assert await ledgers.finish(app) == "completed"
    assert (await ledgers.the_job(app)).done == 3


async def test_a_document_is_not_summarised_before_its_batches_are(app: App[Settings], redis: Redis) -> None:
    run = await apps.ready_pages(app, pages=4, batch_size=2)
    await ledgers.read_all(app)
    before = await ledgers.image(redis)
    fact = BatchSummarized(job=JOB, run=run, batch=1, last=True)
    assert await app.ledger.record(Entry(id=LOST, fact=fact), DocumentDone(blob="d")) == "gone"
    assert await ledgers.image(redis) == before
    assert await ledgers.finish(app) == "completed"


async def test_a_page_is_not_read_before_it_is_ready_nor_ready_before_the_plan(app: App[Settings]) -> None:
    run = await apps.submit(app.ledger, pages=3, batch_size=2)
    page = Entry(id=LOST, fact=PageRequested(job=JOB, run=run, ordinal=2, page=3, image="images/2"))
    batch = Entry(id=LOST, fact=BatchRequested(job=JOB, run=run, batch=1))
    assert await app.ledger.record(page, ledgers.read()) == "gone"
    assert await app.ledger.record(batch, apps.rendered(2, 2)) == "gone"
    job = await ledgers.the_job(app)
    assert (job.done, job.calls) == (0, 0)


async def test_an_entry_that_is_handed_out_again_is_worked_on_once(app: App[Settings], redis: Redis) -> None:
    begun: list[str] = []
    go_on = asyncio.Event()

    async def handle(fact: DocSubmitted) -> Noted:
        begun.append(fact.job)
        await go_on.wait()
        return Noted()

    async def count() -> int:
        return len(begun)

    async def pending() -> int:
        return int((await redis.xpending(DocSubmitted.stream, DocSubmitted.group))["pending"])

    async with apps.consuming(app, Stage(DocSubmitted, handle, slots=2)):
        await apps.submit(app.ledger)
        await eventually(count)
        await redis.xgroup_setid(DocSubmitted.stream, DocSubmitted.group, "0")  # as if it had never been handed out
        await apps.submit(app.ledger, "local/two")
        await eventually(count, until=lambda found: found >= 2)
        assert sorted(begun) == ["local/one", "local/two"]
        go_on.set()
        await eventually(pending, until=lambda left: not left)


async def test_a_service_starts_as_soon_as_a_full_server_lets_it() -> None:
    tries = 0

    async def prepare() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        return "made"

    assert await bus.patiently(prepare, asyncio.Event()) == "made"
    assert tries == 2


async def test_a_service_that_waits_for_its_server_can_be_told_to_end() -> None:
    stop = asyncio.Event()

    async def prepare() -> None:
        stop.set()
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    assert await bus.patiently(prepare, stop) is None

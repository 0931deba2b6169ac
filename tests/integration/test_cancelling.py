"""A cancel as the ledger does it: in bounded time however large the job, and one end that everybody tells alike."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import FACTS, BatchRequested, BatchSummarized, Fact, PageAnalyzed, PageRequested
from shared.ledger import Entry
from shared.outcomes import DocumentDone, Noted
from shared.records import TERMINAL
from shared.service import App
from shared.settings import Settings
from shared.submission import Cancelled
from tests import apps, ledgers
from tests.integration.gateways import Gateway, analysis, running

MANY = 10_000
RACES = 60
"""Of each kind; in most the two meet within a millisecond, so that each comes first in some."""


async def left_of(redis: Redis, ref: str) -> list[str]:
    """Where anything of this job still waits or is in hand."""
    found = []
    for fact in FACTS:
        entries: Any = await redis.xrange(fact.stream)
        found += [fact.stream for _, fields in entries if fields["job"] == ref]
        found += [unit for unit in await redis.zrange(keys.deferred(fact.stream), 0, -1) if unit.startswith(ref)]
    found += [unit for unit in await redis.zrange(keys.PAGES_QUEUE, 0, -1) if unit.startswith(ref)]
    for key in (keys.PAGES_BODIES, keys.PAGES_AT, keys.PAGES_READY, keys.BATCHES_BODIES, keys.TAGS, keys.STARTED):
        found += [field for field in await redis.hkeys(key) if field.startswith(ref)]
    for key in (keys.BATCHES_QUEUE, keys.ACTIVE):
        found += [member for member in await redis.zrange(key, 0, -1) if member == ref]
    return found


async def test_ten_thousand_waiting_pages_are_cancelled_in_under_a_second_of_the_servers_time(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    async with apps.app(redis_url, tmp_path) as app:
        run = await apps.ready_pages(app, pages=MANY)
        for batch in range(MANY // 25):  # all of them, whatever the readers' pace would allow
            entry = Entry(id="0-1", fact=BatchRequested(job=ledgers.JOB, run=run, batch=batch))
            await app.ledger.record(entry, apps.rendered(batch * 25, batch * 25 + 24))
        entries = await apps.take(redis, PageRequested, app.worker)
        await app.ledger.defer(entries[0], delay_s=60)
        assert await redis.zcard(keys.PAGES_QUEUE) > MANY - 100
        await redis.config_resetstat()
        cancelled = await app.ledger.cancel(ledgers.JOB)
        stats = await redis.info("commandstats")
        assert cancelled is not None
        assert (cancelled.status, cancelled.stopped_pages) == ("cancelled", MANY)
        spent_ms = sum(row["usec"] for name, row in stats.items() if name.startswith("cmdstat_eval")) / 1000
        assert 0 < spent_ms < 1000
        assert await left_of(redis, ledgers.JOB) == []


@pytest.mark.parametrize("stage", ["last page", "document"])
async def test_a_cancel_and_the_end_at_the_same_moment_are_one_end_everywhere(
    stage: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    ends: set[str] = set()
    async with running(redis, redis_url, tmp_path / "gateway") as gateway, apps.app(redis_url, tmp_path) as app:
        await gateway.app.blobs.put("blob", msgspec.json.encode(analysis(1)))
        for number in range(RACES):
            job_id = f"00000000-0000-4000-8000-{number:012}"
            end = await one_race(stage, app, gateway, f"local/{job_id}", lead=number % 9 - 4)
            ends.add(end)
            answer = (await gateway.ask("GET", f"/batch-status/{job_id}"))[1]
            document = (await gateway.ask("GET", f"/documents/{job_id}"))[1]
            assert (answer["status"], document["status"]) == (end, end)
            done = [page["status"] == "done" for page in document["pages"]]
            assert answer["pages"]["done"] == sum(done) == answer["usage"]["calls"]
            assert await left_of(redis, f"local/{job_id}") == []
    assert ends == ({"cancelled", "completed"} if stage == "document" else {"cancelled"}), "each comes first in some"


async def one_race(stage: str, app: App[Settings], gateway: Gateway, ref: str, *, lead: int) -> str:
    """Cancel a job while its last page, or its summary, is recorded. Answers the job's status when all is done.

    `lead`: turns of the event loop by which the cancel is ahead.
    """
    await apps.ready_pages(app, ref, pages=2)
    first, last = await apps.take(app.redis, PageRequested, app.worker)
    await app.ledger.record(first, ledgers.read())
    finishing = last, ledgers.read()
    if stage == "document":
        await app.ledger.record(last, ledgers.read())
        await ledgers.summarise_batches(app)
        (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
        finishing = entry, DocumentDone(blob="summary")  # type: ignore[assignment]

    async def cancel() -> Cancelled:
        await turns(-lead)
        cancelled = await gateway.app.ledger.cancel(ref)
        assert cancelled is not None
        return cancelled

    async def finish() -> str:
        await turns(lead)
        return await app.ledger.record(*finishing)

    word, cancelled = await asyncio.gather(finish(), cancel())
    for fact in (PageAnalyzed, BatchSummarized):
        await drained(app, fact)
    job = await ledgers.the_job(app, ref)
    assert job.status in TERMINAL
    assert job.status == cancelled.status, "the cancel's answer is the job's real end"
    if stage == "document":
        assert word == ("gone" if job.status == "cancelled" else "completed")
    return job.status


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def drained(app: App[Settings], fact: type[Fact]) -> None:
    """What the stage that listens would do with what is left of an ended job."""
    entries: list[Entry] = await apps.take(app.redis, fact, app.worker)
    for entry in entries:
        if entry.fact.last:  # type: ignore[attr-defined]
            assert await app.ledger.fail(entry, "it would be refused") == "gone"
        else:
            await app.ledger.record(entry, Noted())

"""What a fleet of the previous release (0.1.0, revision 5159bbe) has left in Redis is taken over in mid job.

`previous_release.json` is all that its own scripts had written for three jobs: `local/one` in mid work (of 7 pages two
read, one a gap, one deferred, one in the hands of a worker that is gone), `local/two` cancelled, `local/three`
submitted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from services.keeper import rounds
from services.keeper.configuration import DAY_MS
from services.keeper.forgetting import Forgetter
from shared import keys
from shared.events import BatchSummarized, DocSubmitted, PageAnalyzed, PageRequested
from shared.ledger import Entry
from shared.outcomes import BatchDone, DocumentDone, Noted, Planned
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.ledgers import JOB, finish, read, read_all, the_job

LEFT = Path(__file__).parent / "previous_release.json"
GONE = "previous-worker"


async def leave(redis: Redis) -> None:
    """Put it back as it was."""
    found: dict[str, dict[str, Any]] = msgspec.json.decode(LEFT.read_bytes())
    for key, content in found.items():
        if "hash" in content:
            await redis.hset(key, mapping=content["hash"])
        elif "zset" in content:
            await redis.zadd(key, content["zset"])
        else:
            await _stream(redis, key, content)


async def _stream(redis: Redis, key: str, content: dict[str, Any]) -> None:
    for id_, fields in content["stream"]:
        await redis.xadd(key, fields, id=id_)
    for group, last in content["groups"].items():
        await redis.xgroup_create(key, group, id="0", mkstream=True)
        for consumer in content["pending"].values():
            await redis.xreadgroup(group, consumer, {key: ">"}, count=1)
        await redis.execute_command("XGROUP", "SETID", key, group, last)


@pytest.fixture
async def app(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    await leave(redis)
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def test_a_job_in_mid_work_is_finished_and_nothing_of_it_is_done_again(app: App[Settings]) -> None:
    job = await the_job(app)
    assert (job.pages, job.done, job.failed, job.batches_done, job.calls) == (7, 2, 1, 1, 2)
    await rounds.tell(app.redis, app.ledger, retention_ms=30 * DAY_MS)
    (stale,) = await app.redis.xpending_range(PageRequested.stream, PageRequested.group, "-", "+", 10)
    ((id_, fields),) = await app.redis.xrange(PageRequested.stream, stale["message_id"], stale["message_id"])
    entry = Entry(id=id_, fact=PageRequested.from_fields(fields))
    assert await app.ledger.reclaim(entry, owner=GONE, idle_ms=0, crashed=True) == 1
    await app.ledger.record(entry, read())
    assert await read_all(app) == 3, "pages 4, 6 and 7 are left"
    assert await finish(app) == "partial"
    job = await the_job(app)
    assert (job.done, job.failed, job.batches_done, job.calls) == (6, 1, 4, 6)
    assert [gap.page for gap in await app.jobs.gaps(job)] == [3]
    assert await app.redis.pttl(keys.job(JOB)) > 0


async def test_a_deferred_page_of_it_keeps_its_count_of_attempts(app: App[Settings]) -> None:
    await app.ledger.release()
    entries = await apps.take(app.redis, PageRequested, app.worker)
    assert {entry.fact.ordinal: entry.fact.attempts for entry in entries}[3] == 2  # type: ignore[attr-defined]


async def test_its_dead_letter_can_be_tried_again_once_the_job_has_ended(app: App[Settings]) -> None:
    await app.ledger.cancel("local/three")
    await test_a_job_in_mid_work_is_finished_and_nothing_of_it_is_done_again(app)
    assert (await Repairs(app.redis).retry_pages(await the_job(app), ordinals=[2])).word == "retried"
    assert await read_all(app) == 1
    for taken in await apps.take(app.redis, PageAnalyzed, app.worker):
        await app.ledger.record(taken, BatchDone(blob="b1") if taken.fact.last else Noted())  # type: ignore[attr-defined]
    for taken in await apps.take(app.redis, BatchSummarized, app.worker):
        await app.ledger.record(taken, DocumentDone(blob="d2") if taken.fact.last else Noted())  # type: ignore[attr-defined]
    assert (await the_job(app)).status == "completed"


async def test_a_job_that_was_just_submitted_begins_and_one_that_was_cancelled_is_dropped(app: App[Settings]) -> None:
    entries = {entry.fact.job: entry for entry in await apps.take(app.redis, DocSubmitted, app.worker)}
    assert set(entries) == {"local/two", "local/three"}
    three = await the_job(app, "local/three")
    assert await app.ledger.record(entries["local/two"], Planned(pages=3)) == "gone"
    assert await app.ledger.record(entries["local/three"], Planned(pages=three.pages)) == "planned"


async def test_what_had_ended_before_gets_its_lifetime(app: App[Settings]) -> None:
    assert await app.redis.pttl(keys.job("local/two")) == -1
    await rounds.tell(app.redis, app.ledger, retention_ms=30 * DAY_MS)
    await Forgetter(app.redis, app.blobs, app.ledger, retention_ms=30 * DAY_MS).look_through()
    assert await app.redis.pttl(keys.job("local/two")) > 0
    assert {await app.redis.pttl(keys.job(ref)) for ref in ("local/one", "local/three")} == {-1}

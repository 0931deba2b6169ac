"""What the model of the ledger (tests/model) found: late reports, keys that are gone, entries that nothing hangs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared import keys
from shared.events import BatchRequested, BatchSummarized, DocSubmitted, PageAnalyzed, PageRequested
from shared.ledger import Entry, Ledger
from shared.outcomes import BatchDone, DocumentDone, Noted, Planned, Rendered, RenderedPage
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.ledgers import JOB, finish, read, read_all, the_job

TORN = RenderedPage(ordinal=1, page=2, failed="a torn page")


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def rendering(app: App[Settings], *, pages: int = 2) -> Entry:
    """A planned job; its first batch, in our hands."""
    await apps.submit(app.ledger, pages=pages)
    (submitted,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(submitted, Planned(pages=pages))
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    return batch


async def test_a_document_whose_plan_was_tried_again_comes_to_its_end(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=2)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.fail(entry, "the disk was full")
    assert (await Repairs(app.redis).retry_plan(await the_job(app))).word == "retried"
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=2))
    (batch,) = await apps.take(app.redis, BatchRequested, app.worker)
    await app.ledger.record(batch, apps.rendered(0, 1))
    await read_all(app)
    assert await finish(app) == "completed"
    assert (await the_job(app)).rev == 2


async def test_a_batch_is_not_given_up_with_an_entry_that_is_not_its_last(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    first, second = await apps.take(app.redis, PageRequested, app.worker)
    await app.ledger.record(first, read())
    (entry,) = await apps.take(app.redis, PageAnalyzed, app.worker)
    assert await app.ledger.fail(entry, "3 workers died with it in hand") == "recorded"
    assert await app.ledger.fail(entry, "3 workers died with it in hand") == "gone"
    assert await app.redis.xlen(keys.dead(PageAnalyzed.stream)) == 1
    assert (await the_job(app)).batches_failed == 0
    await app.ledger.record(second, read())
    assert await finish(app) == "completed"


async def test_a_document_is_not_given_up_with_an_entry_that_is_not_its_last(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=4, batch_size=2)
    await read_all(app)
    one, other = [e for e in await apps.take(app.redis, PageAnalyzed, app.worker) if e.fact.last]  # type: ignore[attr-defined]
    await app.ledger.record(one, BatchDone(blob="b"))
    (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
    assert await app.ledger.fail(entry, "3 workers died with it in hand") == "recorded"
    assert (await the_job(app)).status == "summarizing"
    await app.ledger.record(other, BatchDone(blob="b"))
    (entry,) = await apps.take(app.redis, BatchSummarized, app.worker)
    assert await app.ledger.record(entry, DocumentDone(blob="d")) == "completed"


async def test_a_page_that_a_zombie_could_not_render_is_no_gap(app: App[Settings]) -> None:
    batch = await rendering(app)
    zombie = Ledger(app.redis, worker="zombie")
    whole = apps.rendered(0, 1)
    assert await zombie.record(batch, Rendered(pages=[whole.pages[0], TORN], last=True)) == "not_owner"
    assert (await the_job(app)).failed == 0
    assert await app.ledger.record(batch, whole) == "recorded"
    assert await read_all(app) == 2
    assert await finish(app) == "completed"


async def test_a_report_of_a_failure_may_be_repeated(app: App[Settings]) -> None:
    batch = await rendering(app)
    report = Rendered(pages=[apps.rendered(0, 0).pages[0], TORN], last=True)
    assert [await app.ledger.record(batch, report) for _ in "ab"] == ["recorded", "recorded"]
    assert (await the_job(app)).failed == 1
    assert await app.redis.xlen(BatchRequested.stream) == 0


async def test_a_batch_stays_with_its_owner_until_all_its_pages_are_known(app: App[Settings]) -> None:
    batch = await rendering(app)
    assert await app.ledger.record(batch, apps.rendered(1, 1)) == "unfinished"
    assert await app.redis.xlen(BatchRequested.stream) == 1
    assert await app.ledger.record(batch, apps.rendered(0, 0)) == "recorded"
    assert await app.redis.xlen(BatchRequested.stream) == 0


@pytest.mark.parametrize("gone", [(keys.job,), (keys.job, keys.rendered, keys.gates)])
async def test_an_id_whose_earlier_job_has_half_expired_can_be_used_again(
    app: App[Settings], gone: tuple[Callable[[str], str], ...]
) -> None:
    await apps.ready_pages(app, pages=3, batch_size=1)
    await app.redis.delete(*(key(JOB) for key in gone))
    for entry in await apps.take(app.redis, PageRequested, app.worker):
        assert await app.ledger.record(entry, read()) == "gone"
    await apps.ready_pages(app, pages=2)
    assert (await the_job(app)).pages == 2
    assert await read_all(app) == 2
    assert await finish(app) == "completed"
    assert await app.redis.exists(keys.PAGES_READY, keys.PAGES_AT, keys.TAGS, keys.STARTED, keys.BATCHES_QUEUE) == 0


async def test_nothing_keeps_a_turn_for_a_job_that_is_gone(app: App[Settings]) -> None:
    await apps.submit(app.ledger, pages=9, batch_size=1)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.record(entry, Planned(pages=9))
    await app.redis.delete(keys.job(JOB))
    assert await Repairs(app.redis).reconcile(JOB) == {}
    assert await app.redis.exists(keys.BATCHES_QUEUE, keys.BATCHES_BODIES, keys.ACTIVE) == 0


async def test_a_turn_that_stands_for_nothing_does_not_stop_the_others(app: App[Settings]) -> None:
    await app.redis.zadd(keys.BATCHES_QUEUE, {"local/nobody": 0})
    await rendering(app)
    assert await app.redis.zcard(keys.BATCHES_QUEUE) == 0


async def test_an_entry_of_an_earlier_run_leaves_the_pages_name_to_the_entry_of_this_run(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (old,) = await apps.take(app.redis, PageRequested, app.worker)
    await app.redis.delete(keys.job(JOB))
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    assert await app.ledger.defer(old, delay_s=1) == "gone"
    assert await app.redis.hget(keys.PAGES_AT, old.fact.unit) == entry.id
    assert await app.ledger.fail(entry, "the model refused it") == "recorded"


@pytest.mark.parametrize("outcome", [read(), Noted()], ids=["read", "noted"])
async def test_a_page_of_a_job_that_is_gone_leaves_no_name_behind(app: App[Settings], outcome: Noted) -> None:
    await apps.ready_pages(app, pages=1)
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    await app.redis.delete(keys.job(JOB))
    await app.ledger.record(entry, outcome)
    assert await app.redis.exists(keys.PAGES_AT) == 0


async def test_a_deferred_page_of_an_earlier_run_does_not_stand_for_this_runs_page(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=1)
    (old,) = await apps.take(app.redis, PageRequested, app.worker)
    await app.ledger.defer(old, delay_s=60)
    await app.redis.delete(keys.job(JOB))
    await apps.ready_pages(app, pages=1)
    assert await app.redis.zcard(keys.deferred(PageRequested.stream)) == 0
    assert await read_all(app) == 1

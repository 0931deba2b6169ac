"""Pages that are the same: read once by the workers, counted once by the ledger, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.page_worker import vision
from shared import keys, scripts
from shared.ai.answers import Answer
from shared.consumer import Stage
from shared.events import PageRequested
from shared.outcomes import PageRead, Usage
from shared.records import Job, PageRecord
from shared.results import PageAnalysis
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.conftest import eventually
from tests.ledgers import JOB, read, the_job

LEASE_S = 0.5
USAGE = Usage(calls=1, tokens_in=1200, tokens_out=300, cost_usd=0.25)
ANALYSIS = PageAnalysis(
    text="A mill.", headings=[], summary="A mill.", key_points=[], tables=[], figures=[], language="en", kind="text",
    confidence=1,
)  # fmt: skip


class Model:
    """Reads a page in so many seconds, and remembers which."""

    def __init__(self, *, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.asked: list[int] = []

    async def read(self, fact: PageRequested, image: bytes, text: str) -> Answer[PageAnalysis]:
        self.asked.append(fact.page)
        await asyncio.sleep(self.takes_s)
        return Answer(value=ANALYSIS, usage=USAGE, seconds=self.takes_s)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks ten times as often as in earnest."""
    monkeypatch.setattr("shared.bus.BLOCK_MS", 100)
    monkeypatch.setattr("shared.cache.LOOK_AGAIN_S", 0.1)
    monkeypatch.setattr("shared.reclaim.SETTLING", 0)


@asynccontextmanager
async def worker(redis_url: str, folder: Path, name: str = "page_worker") -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, folder, name=name, lease_s=LEASE_S, grace_s=5) as made:
        yield made


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with worker(redis_url, tmp_path) as made:
        yield made


async def job_of(app: App[Settings], *images: bytes) -> None:
    """A job with these page images, its pages released."""
    for ordinal, image in enumerate(images):
        await app.blobs.put(f"images/{ordinal}", image)
    await apps.ready_pages(app, pages=len(images))


async def all_read(app: App[Settings]) -> tuple[Job, list[PageRecord]]:
    async def ended() -> bool:
        await app.ledger.release()  # what the keeper does
        job = await the_job(app)
        return job.ended_pages == job.pages

    await eventually(ended)
    job = await the_job(app)
    return job, await app.jobs.pages(job, range(job.pages))


async def test_the_same_image_ten_times_in_a_job_is_one_call_and_ten_results(app: App[Settings]) -> None:
    model = Model(takes_s=0.3)
    await job_of(app, *[b"same"] * 10, b"other")
    async with apps.consuming(app, Stage(PageRequested, apps.page_handler(app, model.read), slots=16)):
        job, records = await all_read(app)
    assert len(model.asked) == 2
    assert (job.done, job.cached, job.calls, job.cost_usd) == (11, 9, 2, 0.5)
    assert {record.ordinal for record in records if not record.cached} == {page - 1 for page in model.asked}
    assert len({record.blob for record in records}) == 11, "each has a result of its own"
    for record in records:
        assert msgspec.json.decode(await app.blobs.get(record.blob), type=PageAnalysis) == ANALYSIS
    assert await app.redis.xlen(keys.dead(PageRequested.stream)) == 0


async def test_an_answer_that_was_kept_and_not_recorded_is_not_paid_for_again(
    app: App[Settings], redis_url: str, tmp_path: Path
) -> None:
    """A worker is killed after its answer was kept, before the page's end was recorded."""
    model = Model()
    await job_of(app, b"image")
    async with worker(redis_url, tmp_path, "victim") as victim:
        (entry,) = await apps.take(app.redis, PageRequested, victim.worker)
        await apps.page_handler(victim, model.read)(entry.fact)
    async with apps.consuming(app, Stage(PageRequested, apps.page_handler(app, model.read), slots=4)):
        job, (record,) = await all_read(app)
    assert model.asked == [1]
    assert (job.calls, job.cost_usd, job.cached) == (1, 0.25, 0), "it is the page's own, and counted once"
    assert not record.cached


async def test_a_page_whose_worker_was_killed_in_mid_call_is_asked_for_by_its_heir_at_once(
    app: App[Settings], redis_url: str, tmp_path: Path
) -> None:
    model = Model()
    await job_of(app, b"image")
    async with worker(redis_url, tmp_path, "victim") as victim:
        (entry,) = await apps.take(app.redis, PageRequested, victim.worker)
    question = vision.question(await the_job(app), b"image", "", model="eyes")
    claim = {"claim": f"{entry.fact.run}:{entry.fact.unit}", "worker": victim.worker}
    await app.redis.set(keys.cache(question.digest), msgspec.json.encode(claim), ex=600)
    async with apps.consuming(app, Stage(PageRequested, apps.page_handler(app, model.read), slots=4)):
        job, _ = await all_read(app)
    assert (model.asked, job.calls, job.cached) == ([1], 1, 0)


# What the ledger makes of it ----------------------------------------------------------------------------------------


async def test_a_cached_page_is_counted_once_however_often_it_is_told(app: App[Settings]) -> None:
    await job_of(app, b"a", b"b")
    first, second = await apps.take(app.redis, PageRequested, app.worker)
    cached = PageRead(blob="copy", usage=Usage(), cached=True)
    assert await app.ledger.record(first, cached) == "recorded"
    assert await app.ledger.record(first, cached) == "duplicate"
    assert await app.ledger.record(second, read("own")) == "recorded"
    assert await app.ledger.record(second, cached) == "duplicate"
    job = await the_job(app)
    assert (job.done, job.cached, job.calls) == (2, 1, 1)
    assert [page.cached for page in await app.jobs.pages(job, [0, 1])] == [True, False]


async def test_a_page_of_a_worker_that_knows_of_no_cache_is_recorded_as_ever(app: App[Settings]) -> None:
    """A release without the cache records pages beside this one, while a fleet is replaced."""
    await job_of(app, b"a")
    (entry,) = await apps.take(app.redis, PageRequested, app.worker)
    script = scripts.load("page_analyzed")
    told = {
        **{"job": JOB, "run": entry.fact.run, "id": entry.id, "unit": entry.fact.unit, "stream": entry.fact.stream},
        **{"ordinal": 0, "page": 1, "round": 0, "worker": app.worker, "attempts": 0, "usage": USAGE},
        "record": '{"page":1,"blob":"b"}',
    }
    named = [keys.by_name(key, ref=JOB, stream=entry.fact.stream) for key in script.keys]
    assert await scripts.call(app.redis, script, named, told) == "recorded"
    job = await the_job(app)
    assert (job.done, job.cached, job.calls) == (1, 0, 1)
    assert [page.cached for page in await app.jobs.pages(job, [0])] == [False]

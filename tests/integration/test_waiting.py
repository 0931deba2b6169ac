"""Waiting costs no slot, and what failed calls have used is counted: the page worker with a model that misbehaves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.page_worker import vision
from shared import keys
from shared.ai import model as ai
from shared.consumer import Stage
from shared.events import PageRequested
from shared.limiter import Limiter
from shared.service import App
from shared.settings import ModelSettings, Settings
from tests import apps, pages
from tests.conftest import eventually
from tests.ledgers import the_job
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.server import Model, serve

PAGES = 20
FAILING = (3, 8)
"""Page numbers. Between them enough is read that nobody takes it for an outage."""


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Model]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with serve() as made:
        monkeypatch.setenv("OPENAI_BASE_URL", made.url)
        yield made


@asynccontextmanager
async def reading(url: str, folder: Path, *, slots: int, count: int = PAGES) -> AsyncIterator[App[Settings]]:
    """A page worker in this process, and a job whose pages are ready."""
    async with apps.app(url, folder, name="page_worker", max_attempts=2) as app:
        await apps.ready_pages(app, pages=count)
        for ordinal in range(count):
            await app.blobs.put(f"images/{ordinal}", pages.page_image(ordinal + 1, seed=71))
        limiter = Limiter(app.redis, "eyes")
        async with ai.connect(ModelSettings(), limiter) as door:
            read = partial(vision.read, ask=door.ask, model="eyes", clear=app.control.clear)
            handle = apps.page_handler(app, read)
            async with apps.consuming(app, Stage(PageRequested, handle, slots=slots, permits=limiter)):
                yield app


async def test_pages_that_wait_for_another_try_hold_no_slot(
    redis: Redis, redis_url: str, tmp_path: Path, model: Model
) -> None:
    fails = [Rule(page=page, does="error", status=500, retry_after_s=20) for page in FAILING]
    model.behave(Behaviour(latency_s=0.1, rules=fails))
    async with reading(redis_url, tmp_path, slots=2) as app:
        began = time.monotonic()

        async def done() -> int:
            return (await the_job(app)).done

        await eventually(done, until=lambda count: count == PAGES - len(FAILING))
        assert time.monotonic() - began < 5, "twenty calls of a tenth of a second, two at a time"
        due = await redis.zrange(keys.deferred(PageRequested.stream), 0, -1, withscores=True)
        assert {unit for unit, _ in due} == {f"local/one:{page - 1}" for page in FAILING}
        seconds, _ = await redis.time()
        assert all(10 < at / 1000 - seconds <= 24 for _, at in due), "as the server asked, and at most a fifth more"
        assert await redis.xlen(PageRequested.stream) == 0
        assert model.stats().peak_in_flight == 2


async def test_what_failed_answers_have_used_is_counted(
    redis: Redis, redis_url: str, tmp_path: Path, model: Model
) -> None:
    rules = [
        Rule(page=1, does="wrong_shape", times=1),  # deferred, then read
        Rule(page=2, does="wrong_shape"),  # deferred, then given up
        Rule(page=3, does="truncated"),  # asked twice, then refused
        Rule(page=4, does="refusal"),
        Rule(page=5, does="error", status=500, times=1),  # not billed by anybody
    ]
    model.behave(Behaviour(rules=rules))
    async with reading(redis_url, tmp_path, slots=1, count=6) as app:

        async def ended() -> int:
            await app.ledger.release()  # the keeper's part
            return (await the_job(app)).ended_pages

        await eventually(ended, until=lambda count: count == 6)
        job = await the_job(app)
        billed = [call for call in model.calls if call.status == 200]
        assert (job.done, job.failed) == (3, 3)
        assert job.calls == len(billed) == 2 + 2 + 2 + 1 + 1 + 1
        assert job.tokens_in == sum(call.tokens_in for call in billed)
        assert job.tokens_out == sum(call.tokens_out for call in billed)

"""A disk that is full: what was paid for is held until there is room, and no page is to blame."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.gateway import checkup
from shared import blobs, keys
from shared.ai.answers import Answer
from shared.consumer import Stage
from shared.events import PageRequested
from shared.outcomes import Usage
from shared.results import PageAnalysis
from tests import apps
from tests.conftest import eventually
from tests.ledgers import the_job

PAGES = 3
ANALYSIS = PageAnalysis(
    text="Words.",
    headings=[],
    summary="",
    key_points=[],
    tables=[],
    figures=[],
    language="en",
    kind="text",
    confidence=1,
)


class Eyes:
    """Reads any page, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    async def read(self, _: PageRequested, __: bytes, ___: str) -> Answer[PageAnalysis]:
        self.calls += 1
        return Answer(value=ANALYSIS, usage=Usage(calls=1), seconds=0)


def in_the_way(folder: Path, run: str) -> Path:
    """A file where the results' folder should be: the store refuses to write there, as a full one does."""
    path = folder / "jobs" / "local" / "one" / run / "read"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return path


async def test_an_answer_that_cannot_be_stored_is_held_and_not_paid_for_again(
    redis: Redis, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eyes = Eyes()
    async with apps.app(redis_url, tmp_path) as app:
        run = await apps.ready_pages(app, pages=PAGES)
        for ordinal in range(PAGES):
            await app.blobs.put(f"images/{ordinal}", b"image %d" % ordinal)
        obstacle = in_the_way(tmp_path, run)

        handle = apps.page_handler(app, eyes.read)
        caplog.set_level(logging.INFO)
        async with apps.consuming(app, Stage(PageRequested, handle, slots=2)):

            async def waits() -> int:
                return [record.action for record in caplog.records if hasattr(record, "action")].count("blobs_wait")

            async def asked() -> int:
                return eyes.calls

            await eventually(waits)
            await eventually(asked, until=lambda calls: calls == 2)  # the third page waits for a slot
            assert (await the_job(app)).done == 0
            obstacle.unlink()

            async def done() -> int:
                return (await the_job(app)).done

            await eventually(done, until=lambda pages: pages == PAGES)
        assert await waits() == 1, "it is told once"
        assert eyes.calls == PAGES
        assert (await the_job(app)).calls == PAGES
        assert await redis.xlen(keys.dead(PageRequested.stream)) == 0


async def test_a_worker_that_must_stop_gives_back_what_it_cannot_store_uncounted(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    eyes = Eyes()
    async with apps.app(redis_url, tmp_path, grace_s=0.1) as app:
        run = await apps.ready_pages(app, pages=1)
        await app.blobs.put("images/0", b"image")
        in_the_way(tmp_path, run)

        handle = apps.page_handler(app, eyes.read)
        async with apps.consuming(app, Stage(PageRequested, handle, slots=1)):

            async def asked() -> int:
                return eyes.calls

            await eventually(asked)
        (entry,) = await apps.take(redis, PageRequested, "another")
        assert (entry.fact.attempts, entry.fact.crashes) == (0, 0)


async def test_a_store_that_cannot_be_read_counts_against_no_page(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    eyes = Eyes()
    async with apps.app(redis_url, tmp_path) as app:
        await apps.ready_pages(app, pages=1)
        (tmp_path / "images").write_bytes(b"")  # in the place of a folder

        handle = apps.page_handler(app, eyes.read)
        async with apps.consuming(app, Stage(PageRequested, handle, slots=1)):

            async def deferred() -> int:
                return int(await redis.zcard(keys.deferred(PageRequested.stream)))

            await eventually(deferred)
        (fields,) = (await redis.hgetall(keys.PAGES_BODIES)).values()
        assert '"attempts"' not in fields
        assert eyes.calls == 0


async def test_a_store_that_is_almost_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = blobs.Blobs(f"file://{tmp_path}")
    assert await checkup.blob_ailments(store) == []
    monkeypatch.setattr(checkup, "FEWEST_FREE_BYTES", 10**18)
    (told,) = await checkup.blob_ailments(store)
    assert told.startswith("The blob store is full: ")

"""A service's inside, in the test's own process: for tests of the consumer with handlers of their own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from services.page_worker import handler, vision
from shared import bus
from shared.blobs import Blobs
from shared.cache import Cache
from shared.consumer import Stage
from shared.control import Control
from shared.events import BatchRequested, DocSubmitted, Fact
from shared.fleet import Liveness
from shared.jobs import Jobs
from shared.ledger import Entry, Ledger
from shared.outcomes import Planned, Rendered, RenderedPage
from shared.service import App
from shared.settings import Settings
from shared.submission import Submission
from shared.work import Handler


@asynccontextmanager
async def app(url: str, folder: Path, *, name: str = "test", **settings: object) -> AsyncIterator[App[Settings]]:
    """An app with its own worker name; leaves as a service does, but for its sign of life."""
    worker = f"{name}-{uuid.uuid4().hex[:8]}"
    values = Settings(redis_url=url, blob_url=f"file://{folder}", **settings)  # type: ignore[arg-type]
    async with bus.connect(url) as redis, asyncio.TaskGroup() as group:
        ledger = Ledger(redis, worker=worker)
        await ledger.prepare()
        made: App[Settings] = App(
            name=name,
            worker=worker,
            settings=values,
            stop=asyncio.Event(),
            redis=redis,
            blobs=Blobs(values.blob_url),
            jobs=Jobs(redis),
            ledger=ledger,
            control=Control(url),
            liveness=Liveness(redis, service=name, worker=worker),
        )
        group.create_task(made.control.watch())
        await made.liveness.give()
        try:
            yield made
        finally:
            made.control.close()


@asynccontextmanager
async def consuming(app: App[Settings], *stages: Stage) -> AsyncIterator[asyncio.Task[None]]:
    """Run the stages meanwhile; then stop and drain."""
    task = asyncio.create_task(app.consume(*stages))
    try:
        yield task
    finally:
        app.stop.set()
        await task


async def submit(ledger: Ledger, job: str = "local/one", *, pages: int = 3, batch_size: int = 25) -> str:
    """A job of page images; answers its run."""
    submission = Submission(
        ref=job,
        run=uuid.uuid4().hex[:12],
        kind="images",
        source="upload",
        fingerprint="same",
        batch_size=batch_size,
        pages=pages,
    )
    return (await ledger.submit(submission)).run


async def take(redis: Redis, fact: type[Fact], worker: str, *, count: int = 1000) -> list[Entry]:
    """Read what waits, as `worker`."""
    found = await redis.xreadgroup(fact.group, worker, {fact.stream: ">"}, count=count)
    return [Entry(id=i, fact=fact.from_fields(fields)) for i, fields in (found[0][1] if found else [])]


def rendered(first: int, last: int, *, done: bool = True) -> Rendered:
    """A report of the pages `first` to `last`, both 0-based and included."""
    pages = [RenderedPage(ordinal=o, page=o + 1, image=f"images/{o}") for o in range(first, last + 1)]
    return Rendered(pages=pages, last=done)


async def ready_pages(app: App[Settings], job: str = "local/one", *, pages: int = 3, batch_size: int = 25) -> str:
    """A job whose pages are all rendered and released as far as release lets them; answers its run."""
    run = await submit(app.ledger, job, pages=pages, batch_size=batch_size)
    for entry in await take(app.redis, DocSubmitted, app.worker):
        await app.ledger.record(entry, Planned(pages=pages))
    while entries := await take(app.redis, BatchRequested, app.worker):
        for entry in entries:
            first = entry.fact.batch * batch_size  # type: ignore[attr-defined]
            await app.ledger.record(entry, rendered(first, min(first + batch_size, pages) - 1))
    return run


def page_handler(app: App[Settings], read: handler.Read) -> Handler:
    """The page worker's handler, wired as its main does, with a `read` of the test's own."""
    cache = Cache(
        app.redis, what="page", fetch=app.blobs.get, worker=app.worker, lease_s=app.settings.lease_s, ttl_s=60
    )
    return partial(
        handler.handle,
        job=app.jobs.get,
        fetch=app.blobs.get,
        keep=app.blobs.keep,
        question=partial(vision.question, model="eyes"),
        claim=cache.claim,
        read=read,
    )

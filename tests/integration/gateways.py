"""A running gateway for tests: a real server and client, a real Redis, blobs in a temporary folder.

The services behind it are played by the test: `Fleet` takes facts from the streams and records outcomes.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession
from multidict import CIMultiDict, CIMultiDictProxy
from redis.asyncio import Redis

from services.gateway.configuration import GatewaySettings
from services.gateway.draining import InHand
from services.gateway.routes import application
from shared import apikeys, health
from shared import blobs as keys
from shared.blobs import Blobs
from shared.control import Control
from shared.events import BatchRequested, BatchSummarized, DocSubmitted, Fact, PageAnalyzed, PageRequested
from shared.fleet import Liveness
from shared.jobs import Jobs
from shared.ledger import Entry, Ledger
from shared.outcomes import BatchDone, DocumentDone, Noted, PageRead, Planned, Rendered, RenderedPage, Usage
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis
from shared.service import App

WORKER = "the-test"
PAGES = [b"\xff\xd8\xff page %d" % number for number in range(1, 4)]
JSON = {"Content-Type": "application/json"}
IMAGES = "/process-large-document"
PDF = {"Content-Type": "application/pdf"}


class Gateway:
    """A running gateway, asked over HTTP."""

    def __init__(self, app: App[GatewaySettings], session: ClientSession, port: int, in_hand: InHand) -> None:
        self.app = app
        self.session = session
        self.port = port
        self.in_hand = in_hand
        self.headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status and body; a JSON body is decoded. `self.headers` are then those of the answer."""
        async with self.session.request(method, f"http://127.0.0.1:{self.port}{path}", **more) as response:
            body = await response.read()
            self.headers = response.headers
            return response.status, msgspec.json.decode(
                body
            ) if body and "json" in response.content_type else body.decode()

    async def submit(self, pages: list[bytes] = PAGES, *, headers: dict[str, str] | None = None, **more: object) -> Any:
        return await self.ask("POST", IMAGES, data=json_body(pages, **more), headers={**JSON, **(headers or {})})

    def files(self) -> list[str]:
        uploads = self.app.blobs.root / "uploads"
        return sorted(path.name for path in uploads.rglob("*") if path.is_file())


class Fleet:
    """Plays the services behind the gateway, an entry at a time."""

    def __init__(self, app: App[GatewaySettings]) -> None:
        self.app = app

    async def taken(self, fact: type[Fact], count: int = 100) -> list[Entry]:
        found: Any = await self.app.redis.xreadgroup(fact.group, WORKER, {fact.stream: ">"}, count=count)
        return [Entry(id=id_, fact=fact.from_fields(fields)) for _, entries in found for id_, fields in entries]

    async def plan(self, pages: int) -> None:
        for entry in await self.taken(DocSubmitted):
            await self.app.ledger.record(entry, Planned(pages=pages))

    async def render(self) -> None:
        for entry in await self.taken(BatchRequested):
            job = await self.app.jobs.get(entry.fact.job)
            assert job is not None
            assert isinstance(entry.fact, BatchRequested)
            pages = [RenderedPage(ordinal=o, page=o + 1, image="i") for o in job.batch_ordinals(entry.fact.batch)]
            await self.app.ledger.record(entry, Rendered(pages=pages, last=True))

    async def read(self, *, gaps: Collection[int] = ()) -> int:
        entries = await self.taken(PageRequested)
        for entry in entries:
            assert isinstance(entry.fact, PageRequested)
            if entry.fact.page in gaps:
                await self.app.ledger.fail(entry, "The page is damaged.")
                continue
            blob = await self.put(keys.page_result(entry.fact.job, "r", entry.fact.ordinal), analysis(entry.fact.page))
            await self.app.ledger.record(
                entry, PageRead(blob=blob, usage=Usage(calls=1, tokens_in=10, tokens_out=2, cost_usd=0.001))
            )
        return len(entries)

    async def summarise(self) -> None:
        for entry in await self.taken(PageAnalyzed):
            assert isinstance(entry.fact, PageAnalyzed)
            if not entry.fact.last:
                await self.app.ledger.record(entry, Noted())
                continue
            summary = BatchSummary(title="Some pages", statements=[Cited(text="They say this.", pages=[1, 3])])
            blob = await self.put(keys.batch_result(entry.fact.job, "r", entry.fact.batch), summary)
            await self.app.ledger.record(entry, BatchDone(blob=blob))

    async def conclude(self) -> None:
        for entry in await self.taken(BatchSummarized):
            blob = await self.put(keys.document_result(entry.fact.job, "r"), SUMMARY)
            await self.app.ledger.record(entry, DocumentDone(blob=blob))

    async def finish(self, pages: int, *, gaps: Collection[int] = ()) -> None:
        await self.plan(pages)
        ended = 0
        while ended < pages:
            await self.render()
            ended += await self.read(gaps=gaps)
        await self.summarise()
        await self.conclude()

    async def put(self, key: str, result: msgspec.Struct) -> str:
        await self.app.blobs.put(key, msgspec.json.encode(result))
        return key


SUMMARY = DocumentSummary(
    title="The whole",
    title_pages=[1],
    abstract="It says this.",
    abstract_pages=[1, 3],
    sections=[],
    key_points=[Cited(text="This.", pages=[3])],
)


def analysis(page: int) -> PageAnalysis:
    return PageAnalysis(
        text=f"Text of page {page}.",
        headings=[],
        summary=f"Page {page} says this.",
        key_points=[],
        tables=[],
        figures=[],
        language="en",
        kind="text",
        confidence=1,
    )


def json_body(pages: list[bytes], **more: object) -> bytes:
    return json.dumps({"images_base64": [base64.b64encode(page).decode() for page in pages], **more}).encode()


class Keys:
    """A file of API keys, and the tokens that only this test knows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "api-keys.json"
        self.path.write_text('{"keys": []}')

    def add(self, name: str, *, tenant: str = "", **limits: Any) -> dict[str, str]:
        """A new key; the headers that show it."""
        key, token = apikeys.make(name, tenant or name, apikeys.Limits(**limits))
        with apikeys.changing(self.path) as keys:
            keys.append(key)
        return {"Authorization": f"Bearer {token}"}

    def revoke(self, name: str) -> None:
        with apikeys.changing(self.path) as keys:
            keys[:] = [key for key in keys if key.name != name]


@asynccontextmanager
async def running(redis: Redis, redis_url: str, folder: Path, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway with small limits; `changes` are settings."""
    values = GatewaySettings(
        redis_url=redis_url,
        blob_url=f"file://{folder}/blobs",
        max_body_bytes=600_000,
        max_image_bytes=100_000,
    )
    values = msgspec.structs.replace(values, **changes)
    app = App(
        name="gateway",
        worker=WORKER,
        settings=values,
        stop=asyncio.Event(),
        redis=redis,
        blobs=Blobs(values.blob_url),
        jobs=Jobs(redis),
        ledger=Ledger(redis, worker=WORKER),
        control=Control(values.redis_url),
        liveness=Liveness(redis, service="gateway", worker=WORKER),
    )
    await app.ledger.prepare()
    in_hand = InHand(app.stop)
    async with (
        health.serve(application(app, in_hand, "always"), host="127.0.0.1", port=0, shutdown_s=1) as port,
        ClientSession() as session,
    ):
        yield Gateway(app, session, port, in_hand)


def answering(function: Callable[[], Any]) -> Callable[[], Any]:
    async def call() -> Any:
        return function()

    return call

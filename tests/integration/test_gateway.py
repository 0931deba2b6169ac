"""The gateway's HTTP API: a real server and client, a real Redis, blobs in a temporary folder.

The services behind it are played by the test: `Fleet` takes facts from the streams and records outcomes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession, FormData
from redis.asyncio import Redis

from services.gateway.configuration import GatewaySettings
from services.gateway.draining import InHand
from services.gateway.routes import application
from shared import blobs as keys
from shared import bus, health
from shared.blobs import Blobs
from shared.control import Control
from shared.events import FACTS, BatchRequested, DocSubmitted, Fact, PageAnalyzed, PageRequested
from shared.fleet import Liveness
from shared.jobs import Jobs
from shared.ledger import Entry, Ledger
from shared.outcomes import BatchDone, DocumentDone, Noted, PageRead, Planned, Rendered, RenderedPage, Usage
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis
from shared.service import App
from tests.conftest import eventually
from tests.servers import embedded, free_port

WORKER = "the-test"
PAGES = [b"\xff\xd8\xff page %d" % number for number in range(1, 4)]
JSON = {"Content-Type": "application/json"}
PDF = {"Content-Type": "application/pdf"}


class Gateway:
    """A running gateway, asked over HTTP."""

    def __init__(self, app: App[GatewaySettings], session: ClientSession, port: int, in_hand: InHand) -> None:
        self.app = app
        self.session = session
        self.port = port
        self.in_hand = in_hand
        self.headers: dict[str, str] = {}

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status and body; a JSON body is decoded. `self.headers` are then those of the answer."""
        async with self.session.request(method, f"http://127.0.0.1:{self.port}{path}", **more) as response:
            body = await response.read()
            self.headers = dict(response.headers)
            return response.status, msgspec.json.decode(body) if "json" in response.content_type else body.decode()

    async def submit(self, pages: list[bytes] = PAGES, *, headers: dict[str, str] | None = None, **more: object) -> Any:
        return await self.ask(
            "POST", "/process-large-document", data=json_body(pages, **more), headers={**JSON, **(headers or {})}
        )

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
        for entry in await self.taken(FACTS[-1]):
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


@pytest.fixture
def values(redis_url: str, tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        redis_url=redis_url,
        blob_url=f"file://{tmp_path}/blobs",
        max_body_bytes=600_000,
        max_image_bytes=100_000,
        plan_wait_s=0.5,
    )


async def serving(redis: Redis, values: GatewaySettings) -> AsyncIterator[Gateway]:
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
        health.serve(application(app, in_hand), host="127.0.0.1", port=0, shutdown_s=1) as port,
        ClientSession() as session,
    ):
        yield Gateway(app, session, port, in_hand)


@pytest.fixture
async def gateway(redis: Redis, values: GatewaySettings) -> AsyncIterator[Gateway]:
    async for running in serving(redis, values):
        yield running


@pytest.fixture
def fleet(gateway: Gateway) -> Fleet:
    return Fleet(gateway.app)


# Submitting ------------------------------------------------------------------------------------------------------


async def test_page_images_are_accepted_with_202_and_lie_on_disk(gateway: Gateway) -> None:
    job_id = str(uuid.uuid4())
    status, answer = await gateway.submit(job_id=job_id.upper(), user_id="ann", num_pages=3, file_type="pdf")
    assert status == 202
    assert answer == {
        "status": "queued",
        "job_id": job_id,
        "processing_strategy": "single_batch",
        "batch_size": 25,
        "estimated_batches": 1,
        "estimated_completion_minutes": 1,
        "status_endpoint": f"/batch-status/{job_id}",
        "cancel_endpoint": f"/cancel-job/{job_id}",
    }
    job = await gateway.app.jobs.get(f"local/{job_id}")
    assert job is not None
    assert (job.kind, job.pages, job.user) == ("images", 3, "ann")
    stored = [await gateway.app.blobs.get(keys.upload(job.source, f"{number:05}")) for number in range(3)]
    assert stored == PAGES


async def test_a_large_document_is_cut_into_batches(gateway: Gateway) -> None:
    _, answer = await gateway.submit(PAGES * 17)
    assert (answer["processing_strategy"], answer["estimated_batches"]) == ("batch_parallel", 3)


async def test_the_same_submission_again_is_answered_the_same_and_stored_once(gateway: Gateway) -> None:
    job_id = str(uuid.uuid4())
    _, first = await gateway.submit(job_id=job_id)
    assert "Idempotent-Replayed" not in gateway.headers
    status, again = await gateway.submit(job_id=job_id)
    assert (status, again, gateway.headers["Idempotent-Replayed"]) == (202, first, "true")
    assert gateway.files() == ["00000", "00001", "00002"]
    assert await gateway.app.redis.xlen(DocSubmitted.stream) == 1


async def test_an_idempotency_key_stands_for_a_job_id(gateway: Gateway) -> None:
    _, first = await gateway.submit(headers={"Idempotency-Key": "invoice 7"})
    _, again = await gateway.submit(headers={"Idempotency-Key": "invoice 7"})
    _, other = await gateway.submit(headers={"Idempotency-Key": "invoice 8"})
    assert first["job_id"] == again["job_id"] != other["job_id"]
    assert first["job_id"] == str(uuid.uuid5(uuid.NAMESPACE_URL, "local:invoice 7"))


async def test_the_same_job_id_with_other_content_is_a_conflict_that_leaves_nothing_behind(gateway: Gateway) -> None:
    job_id = str(uuid.uuid4())
    await gateway.submit(job_id=job_id)
    status, problem = await gateway.submit(PAGES[:2], job_id=job_id)
    assert (status, problem["type"], problem["job_id"]) == (409, "/errors/job-exists", job_id)
    assert gateway.files() == ["00000", "00001", "00002"]


async def test_a_pdf_is_answered_with_its_page_count_when_a_splitter_counts_it_in_time(
    gateway: Gateway, fleet: Fleet
) -> None:
    async def splitter() -> None:
        await eventually(lambda: gateway.app.redis.xlen(DocSubmitted.stream))
        await fleet.plan(60)

    async with asyncio.TaskGroup() as group:
        group.create_task(splitter())
        asked = group.create_task(gateway.ask("POST", "/documents?user_id=ann", data=b"%PDF-1.7 ...", headers=PDF))
    status, answer = asked.result()
    assert status == 202
    assert (answer["processing_strategy"], answer["estimated_batches"]) == ("batch_parallel", 3)
    assert gateway.files() == ["source.pdf"]


async def test_a_pdf_that_nobody_counts_in_time_is_accepted_without_numbers(gateway: Gateway) -> None:
    status, answer = await gateway.ask("POST", "/documents", data=b"%PDF-1.7 ...")
    assert status == 202
    assert (answer["processing_strategy"], answer["estimated_batches"]) == (None, None)
    assert answer["estimated_completion_minutes"] == 1


@pytest.mark.parametrize("order", [("job_id", "file", "user_id"), ("file", "user_id", "job_id")])
async def test_a_pdf_may_come_in_a_form_with_options_before_or_after_it(
    gateway: Gateway, order: tuple[str, ...]
) -> None:
    job_id = str(uuid.uuid4())
    content = b"%PDF-1.7 " + bytes(range(256)) * 2000
    form = FormData()
    for name in order:
        if name == "file":
            form.add_field("file", content, filename="a.pdf", content_type="application/pdf")
        else:
            form.add_field(name, {"job_id": job_id, "user_id": "ann"}[name])
    status, answer = await gateway.ask("POST", "/documents", data=form)
    assert (status, answer["job_id"]) == (202, job_id)
    job = await gateway.app.jobs.get(f"local/{job_id}")
    assert job is not None
    assert job.user == "ann"
    assert await gateway.app.blobs.get(keys.upload(job.source, "source.pdf")) == content


# Refusing --------------------------------------------------------------------------------------------------------


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), c) for n, c in fields]
    return b"".join([*parts, b"--b--\r\n"])


IMAGES = "/process-large-document"


@pytest.mark.parametrize(
    ("path", "data", "headers", "status", "slug"),
    [
        (IMAGES, b"{", JSON, 400, "bad-json"),
        (IMAGES, b"{}", JSON, 422, "no-images"),
        (IMAGES, json_body(PAGES, num_pages=4), JSON, 422, "page-count-mismatch"),
        (IMAGES, json_body([*PAGES, b"no image"]), JSON, 422, "bad-image"),
        (IMAGES, json_body(PAGES, job_id="7"), JSON, 422, "invalid-field"),
        (IMAGES, json_body(PAGES, user_id="u" * 201), JSON, 422, "invalid-field"),
        (IMAGES, json_body(PAGES), {**JSON, "Idempotency-Key": "k" * 300}, 422, "invalid-field"),
        (IMAGES, json_body([PAGES[0], b"\xff\xd8\xff" + bytes(200_000)]), JSON, 413, "image-too-large"),
        (IMAGES, json_body([b"\xff\xd8\xff" + bytes(90_000)] * 6), JSON, 413, "body-too-large"),
        (IMAGES, json_body(PAGES), PDF, 415, "unsupported-type"),
        ("/documents", b"no PDF", PDF, 422, "not-a-pdf"),
        ("/documents", b"", PDF, 422, "not-a-pdf"),
        ("/documents", b"%PDF-1.7", JSON, 415, "unsupported-type"),
        ("/documents?max_cost_usd=1", b"%PDF-1.7", PDF, 422, "unknown-option"),
        ("/documents", b"no form", {"Content-Type": "multipart/form-data"}, 400, "bad-form"),
        ("/documents", b"no form", FORM, 400, "bad-form"),
        ("/documents", form(("user_id", b"ann")), FORM, 400, "bad-form"),
        ("/documents", form(("file", b"%PDF-1"), ("file", b"%PDF-2")), FORM, 400, "bad-form"),
        ("/documents", form(("file", b"%PDF-1"), ("narrate", b"false")), FORM, 422, "unknown-option"),
        ("/documents", form(("file", b"%PDF-1"), ("user_id", b"u" * 20_000)), FORM, 422, "invalid-field"),
        ("/documents", form(("file", b"%PDF-1"), ("user_id", b"\xff")), FORM, 400, "bad-form"),
    ],
)
async def test_what_is_refused_is_told_as_a_problem_and_leaves_nothing_behind(
    gateway: Gateway, path: str, data: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    found, problem = await gateway.ask("POST", path, data=data, headers=headers)
    assert (found, problem["type"], problem["status"]) == (status, f"/errors/{slug}", status)
    assert gateway.headers["Content-Type"].startswith("application/problem+json")
    assert gateway.files() == []
    assert await gateway.app.redis.xlen(DocSubmitted.stream) == 0


async def test_a_body_without_a_length_is_given_up_at_the_limit(gateway: Gateway) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7"
        while True:
            yield bytes(100_000)

    with suppress(ClientConnectionError):  # the server may close before the client has stopped sending
        status, problem = await gateway.ask("POST", "/documents", data=endless(), headers=PDF)
        assert (status, problem["limit_bytes"]) == (413, 600_000)
    await eventually(_async(gateway.files), until=lambda files: files == [])


async def test_a_client_that_disconnects_half_way_leaves_nothing_behind(gateway: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole = json_body([b"\xff\xd8\xff" + bytes(40_000)] * 8)
    head = (
        f"POST {IMAGES} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"
    )
    writer.write(head.encode() + whole[: len(whole) - 100])
    await writer.drain()
    await eventually(_async(gateway.files))
    writer.transport.abort()
    await eventually(_async(gateway.files), until=lambda files: files == [])
    assert await gateway.app.redis.xlen(DocSubmitted.stream) == 0


@pytest.fixture
async def impatient(redis: Redis, values: GatewaySettings) -> AsyncIterator[Gateway]:
    async for running in serving(redis, msgspec.structs.replace(values, body_timeout_s=0.2)):
        yield running


async def test_a_body_that_stalls_is_answered_with_408(impatient: Gateway) -> None:
    gateway = impatient
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /documents HTTP/1.1\r\nHost: a\r\nContent-Type: application/pdf\r\nContent-Length: 50\r\n\r\n%PDF-"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"received_bytes":5' in answer
    writer.close()
    assert gateway.files() == []


def _async(function: Callable[[], Any]) -> Callable[[], Any]:
    async def call() -> Any:
        return function()

    return call


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "unknown-route"),
        ("GET", "/process-large-document", 405, "wrong-method"),
        ("DELETE", "/batch-stats", 405, "wrong-method"),
        ("GET", f"/batch-status/{uuid.uuid4()}", 404, "unknown-job"),
        ("GET", "/batch-status/7", 404, "unknown-job"),
        ("GET", f"/documents/{uuid.uuid4()}", 404, "unknown-job"),
        ("POST", f"/cancel-job/{uuid.uuid4()}", 404, "unknown-job"),
    ],
)
async def test_what_is_not_there_is_told_as_a_problem(
    gateway: Gateway, method: str, path: str, status: int, slug: str
) -> None:
    found, problem = await gateway.ask(method, path)
    assert (found, problem["type"]) == (status, f"/errors/{slug}")
    assert status != 405 or gateway.headers["Allow"] in ("POST", "GET, HEAD")


async def test_a_blob_store_that_cannot_be_written_is_told_with_503(gateway: Gateway) -> None:
    (gateway.app.blobs.root / "uploads").write_text("in the way")
    status, problem = await gateway.submit()
    assert (status, problem["type"]) == (503, "/errors/storage-unavailable")
    assert int(gateway.headers["Retry-After"]) == problem["retry_after_s"]
    status, answer = await gateway.ask("GET", "/health")
    assert (status, answer["status"], answer["dependencies"]["blobs"]) == (503, "unhealthy", "down")
    status, answer = await gateway.ask("GET", "/readyz")
    assert status == 503


async def test_a_redis_that_is_away_is_told_with_503_and_the_job_id_to_try_again_with(values: GatewaySettings) -> None:
    port = free_port()
    away = msgspec.structs.replace(values, redis_url=f"redis://127.0.0.1:{port}/0")
    async with bus.connect(away.redis_url) as client:
        with embedded(port=port):
            starting = serving(client, away)
            gateway = await anext(starting)
            _, accepted = await gateway.submit()
        status, problem = await gateway.ask("GET", f"/batch-status/{accepted['job_id']}")
        assert (status, problem["type"]) == (503, "/errors/redis-unavailable")
        assert "Retry-After" in gateway.headers
        status, _ = await gateway.submit()
        assert status == 503
        status, answer = await gateway.ask("GET", "/health")
        assert (status, answer["status"], answer["dependencies"]["redis"]) == (503, "unhealthy", "down")
        assert (await gateway.ask("GET", "/readyz"))[0] == 503
        assert (await gateway.ask("GET", "/livez"))[0] == 200
        with suppress(StopAsyncIteration):
            await anext(starting)


async def test_an_upload_that_is_under_way_at_a_stop_is_finished_and_a_new_one_refused(gateway: Gateway) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield json_body(PAGES)[:50]
        begun.set()
        await go_on.wait()
        yield json_body(PAGES)[50:]

    uploading = asyncio.create_task(gateway.ask("POST", IMAGES, data=slow(), headers=JSON))
    await begun.wait()
    await eventually(_async(lambda: gateway.in_hand.count))
    gateway.app.stop.set()
    drained = asyncio.create_task(gateway.in_hand.ended(within_s=10))
    status, problem = await gateway.submit()
    assert (status, problem["type"]) == (503, "/errors/stopping")
    assert (await gateway.ask("GET", "/readyz"))[0] == 503
    assert not drained.done()
    go_on.set()
    await drained
    status, _ = await uploading
    assert status == 202


# Following -------------------------------------------------------------------------------------------------------


async def test_the_status_tells_the_truth_from_the_start_to_the_end(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    path = accepted["status_endpoint"]

    async def status() -> Any:
        code, answer = await gateway.ask("GET", path)
        assert code == 200
        return answer

    seen = [await status()]
    assert (seen[0]["status"], seen[0]["stage"], seen[0]["total_pages"]) == ("queued", "splitting", 60)
    await fleet.plan(60)
    ended = 0
    while ended < 60:
        await fleet.render()
        seen.append(await status())
        ended += await fleet.read(gaps={7, 30})
        seen.append(await status())
    assert seen[2]["status"] == "processing"
    assert (seen[-1]["status"], seen[-1]["current_page"]) == ("summarizing", 60)
    await fleet.summarise()
    seen.append(await status())
    assert seen[-1]["batches"] == {"total": 3, "completed": 3, "active": 0, "failed": 0}
    await fleet.conclude()
    last = await status()
    progress = [answer["progress"] for answer in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 98
    assert (last["status"], last["progress"], last["stage"]) == ("partial", 100, "ended")
    assert last["pages"] == {"done": 58, "failed": 2, "cached": 0, "blank": 0}
    assert last["gaps"] == [{"page": page, "reason": "The page is damaged."} for page in (7, 30)]
    assert (last["usage"]["calls"], last["usage"]["tokens_in"]) == (58, 580)
    assert last["estimated_seconds_remaining"] is None
    assert last["started_at"].endswith("Z")
    assert last["ended_at"] >= last["started_at"] >= last["created_at"]


async def test_a_cancel_is_announced_and_keeps_its_answer(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    await fleet.plan(3)
    status, answer = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert status == 200
    assert (answer["status"], answer["cancelled"], answer["stopped"]) == ("cancelled", True, {"pages": 3, "batches": 1})
    announced: Any = await gateway.app.redis.xrange("control")
    [(_, told)] = announced
    assert (told["action"], told["job"]) == ("cancel", f"local/{accepted['job_id']}")
    status, again = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert (status, again["cancelled"], again["stopped"]["pages"]) == (200, True, 0)
    _, answer = await gateway.ask("GET", accepted["status_endpoint"])
    assert (answer["status"], answer["progress"]) == ("cancelled", 0)


async def test_a_cancel_after_the_end_changes_nothing(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    await fleet.finish(3)
    status, answer = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert (status, answer["status"], answer["cancelled"]) == (200, "completed", False)
    assert await gateway.app.redis.xlen("control") == 0


# Results ---------------------------------------------------------------------------------------------------------


async def test_the_result_names_every_page_and_every_gap(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    await fleet.finish(60, gaps={7})
    status, result = await gateway.ask("GET", f"/documents/{accepted['job_id']}")
    assert (status, result["status"], result["total_pages"]) == (200, "partial", 60)
    assert [page["page"] for page in result["pages"]] == list(range(1, 61))
    assert result["pages"][0]["text"] == "Text of page 1."
    assert (result["pages"][6]["status"], result["pages"][6]["reason"]) == ("failed", "The page is damaged.")
    assert [(b["first_page"], b["last_page"]) for b in result["batches"]] == [(1, 25), (26, 50), (51, 60)]
    assert result["batches"][0]["summary"] == "They say this."
    assert result["summary"] == msgspec.to_builtins(SUMMARY)
    assert result["gaps"] == [{"page": 7, "reason": "The page is damaged."}]
    assert result["usage"]["calls"] == 59


async def test_the_result_is_there_while_the_job_runs_and_after_a_cancel(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    path = f"/documents/{accepted['job_id']}"
    _, result = await gateway.ask("GET", path)
    assert [page["status"] for page in result["pages"]] == ["waiting"] * 3
    assert (result["summary"], result["batches"]) == (None, [])
    await fleet.plan(3)
    await fleet.render()
    _, result = await gateway.ask("GET", path)
    assert [page["status"] for page in result["pages"]] == ["reading"] * 3
    await gateway.ask("POST", accepted["cancel_endpoint"])
    _, result = await gateway.ask("GET", path)
    assert (result["status"], [page["status"] for page in result["pages"]]) == ("cancelled", ["cancelled"] * 3)


async def test_the_result_of_a_pdf_that_nobody_opened_yet_is_empty(gateway: Gateway) -> None:
    _, accepted = await gateway.ask("POST", "/documents", data=b"%PDF-1.7")
    _, result = await gateway.ask("GET", f"/documents/{accepted['job_id']}")
    assert (result["status"], result["pages"], result["batches"]) == ("queued", [], [])


async def test_the_report_is_markdown_where_that_is_asked_for(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    await fleet.finish(3, gaps={2})
    status, text = await gateway.ask(
        "GET", f"/documents/{accepted['job_id']}", headers={"Accept": "text/markdown, */*;q=0.1"}
    )
    assert (status, gateway.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert text.startswith("# The whole [p. 1]\n")
    assert "- [p. 2] The page is damaged." in text
    assert "- They say this. [pp. 1, 3]" in text


async def test_a_result_that_cannot_be_read_to_its_end_breaks_off_instead_of_looking_whole(
    gateway: Gateway, fleet: Fleet
) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    await fleet.finish(60)
    job = await gateway.app.jobs.get(f"local/{accepted['job_id']}")
    assert job is not None
    record = (await gateway.app.jobs.pages(job, [50]))[0]
    blob = gateway.app.blobs.root / record.blob
    blob.unlink()
    blob.symlink_to(blob)  # there, and not to be opened
    with pytest.raises(ClientPayloadError):
        await gateway.ask("GET", f"/documents/{accepted['job_id']}")


# The fleet -------------------------------------------------------------------------------------------------------


async def test_the_stats_say_what_waits_where(gateway: Gateway, fleet: Fleet) -> None:
    await gateway.submit()
    await gateway.app.liveness.give()
    status, stats = await gateway.ask("GET", "/batch-stats")
    assert status == 200
    assert [stream["stream"] for stream in stats["streams"]] == [fact.stream for fact in FACTS]
    assert (stats["streams"][0]["backlog"], stats["streams"][0]["waiting"]) == (1, 1)
    assert [service["service"] for service in stats["services"]] == ["gateway"]
    assert stats["jobs"] == {"queued": 1}
    assert stats["pages_per_second"] == 0
    await fleet.finish(3)
    _, stats = await gateway.ask("GET", "/batch-stats")
    assert stats["pages_per_second"] > 0
    assert stats["jobs"] == {}


async def test_health_is_degraded_while_a_service_is_missing(gateway: Gateway) -> None:
    status, answer = await gateway.ask("GET", "/health")
    assert (status, answer["status"]) == (200, "degraded")
    assert any("page_worker" in problem for problem in answer["problems"])
    for service in ("splitter", "page_worker", "aggregator"):
        await Liveness(gateway.app.redis, service=service, worker=service).give()
    status, answer = await gateway.ask("GET", "/health")
    assert (status, answer["status"], answer["problems"]) == (200, "healthy", [])
    assert answer["dependencies"] == {"redis": "up", "blobs": "up", "model": "unknown"}
    assert answer["workers"]["page_worker"] == 1
    assert gateway.files() == []


async def test_the_fleets_own_routes_are_on_the_main_port(gateway: Gateway) -> None:
    assert await gateway.ask("GET", "/livez") == (200, {"status": "alive"})
    assert (await gateway.ask("GET", "/readyz"))[0] == 200
    status, metrics = await gateway.ask("GET", "/metrics")
    assert status == 200
    assert "quire_" in metrics

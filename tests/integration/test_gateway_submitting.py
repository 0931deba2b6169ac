"""Documents that the gateway takes in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import FormData
from redis.asyncio import Redis

from shared import blobs as keys
from shared import keys as redis_keys
from shared.events import DocSubmitted
from tests.conftest import eventually
from tests.integration.gateways import IMAGES, JSON, PAGES, PDF, Fleet, Gateway, answering, json_body, running


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path) as started:
        yield started


@pytest.fixture
def fleet(gateway: Gateway) -> Fleet:
    return Fleet(gateway.app)


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


async def test_a_pdf_is_accepted_before_its_pages_are_counted_and_nothing_is_made_up(gateway: Gateway) -> None:
    status, answer = await gateway.ask("POST", "/documents?user_id=ann", data=b"%PDF-1.7 ...", headers=PDF)
    assert status == 202
    assert (answer["processing_strategy"], answer["estimated_batches"]) == (None, None)
    assert answer["estimated_completion_minutes"] is None
    assert gateway.files() == ["source.pdf"]


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


async def test_pages_batch_size_and_narration_may_be_chosen_in_the_query_or_the_form(gateway: Gateway) -> None:
    form = FormData()
    form.add_field("pages", "80, 1-50")
    form.add_field("file", b"%PDF-1.7 ...", filename="a.pdf", content_type="application/pdf")
    form.add_field("narrate", "false")
    status, answer = await gateway.ask("POST", "/documents?batch_size=10", data=form)
    assert status == 202
    assert (answer["batch_size"], answer["estimated_batches"]) == (10, 6)
    assert answer["processing_strategy"] == "batch_parallel"
    job = await gateway.app.jobs.get(f"local/{answer['job_id']}")
    assert job is not None
    assert (job.selection, job.batch_size, job.pages) == ("1-50,80", 10, 0)
    stored = await gateway.app.redis.hgetall(redis_keys.job(job.ref))
    assert (stored["narrate"], stored["whole_up_to"]) == ("0", "10")


async def test_a_summary_is_spoken_unless_that_is_declined(gateway: Gateway) -> None:
    _, images = await gateway.submit()
    _, pdf = await gateway.ask("POST", "/documents", data=b"%PDF-1.7 ...", headers=PDF)
    for answer in (images, pdf):
        stored = await gateway.app.redis.hgetall(redis_keys.job(f"local/{answer['job_id']}"))
        assert stored["narrate"] == "1"


@pytest.mark.parametrize("options", ["&pages=1-3", "&batch_size=5", "&narrate=false"])
async def test_the_same_pdf_with_other_options_is_other_content(gateway: Gateway, options: str) -> None:
    job_id = str(uuid.uuid4())
    statuses = []
    for asked in ("", options, options, ""):
        path = f"/documents?job_id={job_id}{asked}"
        status, _ = await gateway.ask("POST", path, data=b"%PDF-1.7 ...", headers=PDF)
        statuses.append((status, gateway.headers.get("Idempotent-Replayed")))
    assert statuses == [(202, None), (409, None), (409, None), (202, "true")]


async def test_a_selection_is_counted_and_cut_into_batches_under_the_documents_own_numbers(
    gateway: Gateway, fleet: Fleet
) -> None:
    path = "/documents?pages=5,11-14,20&batch_size=4&narrate=0"
    _, answer = await gateway.ask("POST", path, data=b"%PDF-1.7 ...", headers=PDF)
    await fleet.plan(6)
    _, status = await gateway.ask("GET", f"/batch-status/{answer['job_id']}")
    assert (status["total_pages"], status["batches"]["total"]) == (6, 2)
    _, document = await gateway.ask("GET", f"/documents/{answer['job_id']}")
    assert [page["page"] for page in document["pages"]] == [5, 11, 12, 13, 14, 20]
    assert [(batch["first_page"], batch["last_page"]) for batch in document["batches"]] == [(5, 13), (14, 20)]


async def test_an_upload_that_is_under_way_at_a_stop_is_finished_and_a_new_one_refused(gateway: Gateway) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield json_body(PAGES)[:50]
        begun.set()
        await go_on.wait()
        yield json_body(PAGES)[50:]

    uploading = asyncio.create_task(gateway.ask("POST", IMAGES, data=slow(), headers=JSON))
    await begun.wait()
    await eventually(answering(lambda: gateway.in_hand.count))
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

"""Requests that the gateway refuses: each is told as a problem and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError
from redis.asyncio import Redis

from shared import bus
from shared.events import DocSubmitted
from tests.conftest import eventually
from tests.integration.gateways import IMAGES, JSON, PAGES, PDF, Gateway, answering, json_body, running
from tests.servers import embedded


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path) as started:
        yield started


NOBODY = "7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), c) for n, c in fields]
    return b"".join([*parts, b"--b--\r\n"])


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
        ("/documents", form(("file", b"%PDF-1"), ("voice", b"ann")), FORM, 422, "unknown-option"),
        ("/documents", form(("file", b"%PDF-1"), ("narrate", b"perhaps")), FORM, 422, "invalid-field"),
        ("/documents?pages=9-3", b"%PDF-1.7", PDF, 422, "invalid-field"),
        ("/documents?batch_size=101", b"%PDF-1.7", PDF, 422, "invalid-field"),
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
    await eventually(answering(gateway.files), until=lambda files: files == [])


async def test_a_client_that_disconnects_half_way_leaves_nothing_behind(gateway: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole = json_body([b"\xff\xd8\xff" + bytes(40_000)] * 8)
    head = f"POST {IMAGES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode() + whole[: len(whole) - 100])
    await writer.drain()
    await eventually(answering(gateway.files))
    writer.transport.abort()
    await eventually(answering(gateway.files), until=lambda files: files == [])
    assert await gateway.app.redis.xlen(DocSubmitted.stream) == 0


async def test_a_body_that_stalls_is_answered_with_408(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    head = b"POST /documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pdf\r\nContent-Length: 50\r\n\r\n"
    async with running(redis, redis_url, tmp_path, body_timeout_s=0.2) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head + b"%PDF-")
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"received_bytes":5' in answer
        writer.close()
        assert gateway.files() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "unknown-route"),
        ("GET", "/process-large-document", 405, "wrong-method"),
        ("DELETE", "/batch-stats", 405, "wrong-method"),
        ("GET", f"/batch-status/{NOBODY}", 404, "unknown-job"),
        ("GET", "/batch-status/7", 404, "unknown-job"),
        ("GET", f"/documents/{NOBODY}", 404, "unknown-job"),
        ("POST", f"/cancel-job/{NOBODY}", 404, "unknown-job"),
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


async def test_a_redis_that_is_away_is_told_with_503(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with embedded() as url:
            client = await stack.enter_async_context(bus.connect(url))
            gateway = await stack.enter_async_context(running(client, url, tmp_path))
            _, accepted = await gateway.submit()
        status, problem = await gateway.ask("GET", accepted["status_endpoint"])
        assert (status, problem["type"]) == (503, "/errors/redis-unavailable")
        assert "Retry-After" in gateway.headers
        status, _ = await gateway.submit()
        assert status == 503
        assert len(gateway.files()) == len(PAGES)  # those of the accepted document alone
        status, answer = await gateway.ask("GET", "/health")
        assert (status, answer["status"], answer["dependencies"]["redis"]) == (503, "unhealthy", "down")
        assert (await gateway.ask("GET", "/readyz"))[0] == 503
        assert (await gateway.ask("GET", "/livez"))[0] == 200


async def test_a_redis_that_is_full_accepts_nothing_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with embedded() as url:
        async with bus.connect(url) as client, running(client, url, tmp_path) as gateway:

            async def filling() -> AsyncIterator[bytes]:
                yield json_body(PAGES)[:50]
                await eventually(answering(lambda: gateway.in_hand.count))
                await client.config_set("maxmemory", 1)
                yield json_body(PAGES)[50:]

            await gateway.ask("GET", "/health")
            status, problem = await gateway.ask("POST", IMAGES, data=filling(), headers=JSON)
            assert (status, problem["type"]) == (503, "/errors/redis-unavailable")
            assert "memory" in problem["detail"]
            assert gateway.files() == []


async def test_even_a_bug_is_told_as_a_problem(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.app.jobs, "get", broken)
    status, problem = await gateway.ask("GET", f"/batch-status/{NOBODY}")
    assert (status, problem["type"], problem["status"]) == (500, "/errors/internal", 500)
    assert gateway.headers["Content-Type"] == "application/problem+json"
    assert "Zero" not in str(problem)

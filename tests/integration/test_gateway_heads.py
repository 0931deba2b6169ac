"""What every answer carries, and what slow clients get."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from redis.asyncio import Redis

from services.gateway import cors, headers
from services.gateway.cors import Origins
from services.gateway.headers import Outgoing, identified
from shared import health
from shared.settings import SettingsError
from tests.integration.gateways import PDF, Gateway, Keys, running

APP = "https://app.example"


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path, cors_origins=f"{APP}, https://b.example") as started:
        yield started


@pytest.mark.parametrize("path", ["/livez", "/batch-stats", "/nowhere", "/batch-status/7", "/metrics"])
async def test_every_answer_keeps_browsers_from_guessing_framing_and_running(gateway: Gateway, path: str) -> None:
    await gateway.ask("GET", path)
    for name, value in headers.ALWAYS.items():
        assert gateway.headers[name] == value
    assert gateway.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert gateway.headers["Cache-Control"] == "no-store"


async def test_a_page_runs_files_of_our_own_alone() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<p>", content_type="text/html")

    app = web.Application(middlewares=[identified])
    app.on_response_prepare.append(Outgoing(Origins("")))
    app.add_routes([web.get("/", page)])
    async with health.serve(app, host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        writer.close()
    (policy,) = re.findall(r"Content-Security-Policy: (.*)\r\n", head)
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == "'self'"
    assert parts["base-uri"] == parts["form-action"] == parts["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0af7651916cd43dd-8448", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ('"x"', False),
        ("", False),
    ],
)
async def test_a_request_keeps_a_sane_id_and_else_gets_one(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, given: str, kept: bool
) -> None:
    _, problem = await gateway.ask("GET", "/nowhere", headers={"X-Request-Id": given})
    found = gateway.headers["X-Request-Id"]
    assert (found == given) is kept
    assert kept or re.fullmatch(r"[0-9a-f]{32}", found)
    assert problem["request_id"] == found


async def test_even_a_bug_is_told_with_its_requests_id(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.app.jobs, "get", broken)
    path = "/batch-status/7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01"
    status, problem = await gateway.ask("GET", path, headers={"X-Request-Id": "seven"})
    assert (status, problem["request_id"], gateway.headers["X-Request-Id"]) == (500, "seven", "seven")


# Other origins -----------------------------------------------------------------------------------------------------


async def test_pages_of_the_origins_that_are_named_may_use_the_api(gateway: Gateway) -> None:
    preflight = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    status, _ = await gateway.ask("OPTIONS", "/documents", headers=preflight)
    assert (status, gateway.headers["Access-Control-Allow-Origin"]) == (204, APP)
    assert gateway.headers["Access-Control-Allow-Methods"] == cors.METHODS
    assert "Authorization" in gateway.headers["Access-Control-Allow-Headers"]
    status, _ = await gateway.ask("GET", "/nowhere", headers={"Origin": APP})
    assert (status, gateway.headers["Access-Control-Allow-Origin"], gateway.headers["Vary"]) == (404, APP, "Origin")
    assert "Retry-After" in gateway.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in gateway.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", APP + ".evil.example", APP.upper()])
async def test_pages_of_other_origins_may_not(gateway: Gateway, origin: str) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for method, asked in (("OPTIONS", preflight), ("GET", {"Origin": origin})):
        await gateway.ask(method, "/batch-stats", headers=asked)
        assert "Access-Control-Allow-Origin" not in gateway.headers
        assert gateway.headers["Vary"] == "Origin"


async def test_a_preflight_needs_no_key(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    async with running(redis, redis_url, tmp_path, cors_origins="*", api_keys_file=str(keys.path)) as gateway:
        asked = {"Origin": APP, "Access-Control-Request-Method": "GET"}
        assert (await gateway.ask("OPTIONS", "/documents", headers=asked))[0] == 204
        assert gateway.headers["Access-Control-Allow-Origin"] == "*"
        assert (await gateway.ask("OPTIONS", "/documents"))[0] == 401


@pytest.mark.parametrize("setting", ["app.example", "https://app.example/", "https://", "*, https://a.example", "null"])
def test_what_is_no_origin_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS: expected origins"):
        Origins(setting)


# Slow clients ------------------------------------------------------------------------------------------------------


async def test_a_head_that_comes_drop_by_drop_is_given_up(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    async with running(redis, redis_url, tmp_path, connection_timeout_s=0.5) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        began = time.monotonic()
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        while not reader.at_eof() and time.monotonic() - began < 5:
            writer.write(b"X-Drop: 1\r\n")
            try:
                async with asyncio.timeout(0.05):
                    assert await reader.read() == b""
            except (TimeoutError, ConnectionError):
                continue
        assert 0.4 < time.monotonic() - began < 3
        writer.close()


async def test_a_connection_that_says_nothing_is_closed(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    async with running(redis, redis_url, tmp_path, connection_timeout_s=0.3) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()


async def test_a_body_that_comes_drop_by_drop_is_given_up(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    async with running(redis, redis_url, tmp_path, body_timeout_s=0.5) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n")
        writer.write(b"Content-Type: application/pdf\r\n\r\n%PDF-1.7")
        answer = asyncio.create_task(reader.readuntil(b"}"))
        began = time.monotonic()
        while not answer.done() and time.monotonic() - began < 5:
            writer.write(b".")
            await asyncio.wait({answer}, timeout=0.05)
        told = await answer
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b'"least_bytes_per_s":500' in told
        writer.close()
        assert gateway.files() == []


@pytest.mark.parametrize("known", [True, False])
async def test_a_client_that_asks_first_sends_its_document_only_where_it_is_taken(
    redis: Redis, redis_url: str, tmp_path: Path, known: bool
) -> None:
    keys = Keys(tmp_path)
    token = keys.add("ann")["Authorization"] if known else "Bearer quire_nobody"
    async with running(redis, redis_url, tmp_path, api_keys_file=str(keys.path)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = "POST /documents HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 12\r\n"
        writer.write(f"{head}Content-Type: application/pdf\r\nAuthorization: {token}\r\n\r\n".encode())
        first = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        if known:
            assert first == b"HTTP/1.1 100 Continue\r\n"
            writer.write(b"%PDF-1.7 ...")
            assert (await asyncio.wait_for(reader.readuntil(b" 202 "), 5)).endswith(b"HTTP/1.1 202 ")
        else:
            assert first.startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_another_expectation_is_refused(gateway: Gateway) -> None:
    status, problem = await gateway.ask("POST", "/documents", data=b"{}", headers={**PDF, "Expect": "a miracle"})
    assert (status, problem["type"]) == (417, "/errors/refused")

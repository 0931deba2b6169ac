"""The command's client against a small server on this machine that answers as told."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from cli import client, datafolder, watch
from cli.client import Client, Refusal, Unreachable
from cli.datafolder import Folder, Running
from cli.errors import CommandError
from cli.ports import choose
from cli.sources import Images, Pdf
from cli.wire import Status
from shared import health

Handler = Callable[[web.Request], Awaitable[web.Response]]
QUEUED = {"job_id": "j-1", "status": "queued"}
COMPLETED = {"job_id": "j-1", "status": "completed", "current_page": 2, "total_pages": 2, "unknown": {"to": "us"}}


@asynccontextmanager
async def gateway(handler: Handler, *, port: int = 0) -> AsyncIterator[Client]:
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        health.serve(app, host="127.0.0.1", port=port) as bound,
        client.connected(f"http://127.0.0.1:{bound}/") as asked,
    ):
        yield asked


async def test_a_pdf_is_sent_as_it_is_with_its_length(tmp_path: Path) -> None:
    content = b"%PDF-1.7" + os.urandom(3_000_000)
    (tmp_path / "book.pdf").write_bytes(content)
    seen: list[object] = []

    async def accept(request: web.Request) -> web.Response:
        seen.extend([request.path, request.content_type, request.content_length, await request.read()])
        return web.json_response({"job_id": "j-1", "estimated_completion_minutes": None}, status=202)

    async with gateway(accept) as asked:
        accepted, answer = await asked.submit(Pdf(tmp_path / "book.pdf"))
    assert seen == ["/documents", "application/pdf", len(content), content]
    assert accepted.job_id == "j-1"
    assert b"estimated_completion_minutes" in answer


async def test_page_images_are_sent_in_order_as_the_clients_that_exist_send_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "bca"]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    bodies: list[dict[str, object]] = []

    async def accept(request: web.Request) -> web.Response:
        bodies.append(msgspec.json.decode(await request.read()))
        return web.json_response({"job_id": bodies[0]["job_id"]}, status=202)

    async with gateway(accept) as asked:
        accepted, _ = await asked.submit(Images(paths))
    (body,) = bodies
    assert body.pop("job_id") == accepted.job_id
    assert body == {
        "user_id": "quire",
        "num_pages": 3,
        "file_type": "image",
        "images_base64": [base64.b64encode(path.read_bytes()).decode() for path in paths],
    }


@pytest.mark.parametrize(("key", "shown"), [("quire_x", "Bearer quire_x"), ("", None)])
async def test_the_key_in_the_environment_is_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, shown: str | None
) -> None:
    monkeypatch.setenv("QUIRE_API_KEY", key)
    seen: list[object] = []

    async def accept(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response(QUEUED)

    async with gateway(accept) as asked:
        await asked.status("j-1")
    assert seen == [shown]


async def test_a_problem_is_told_in_the_gateways_own_sentence() -> None:
    async def refuse(request: web.Request) -> web.Response:
        assert request.raw_path == "/batch-status/no%2Fsuch%20job"
        body = {"type": "/errors/unknown-job", "title": "No such job", "detail": "There is no job of that id."}
        return web.json_response(body, status=404, content_type="application/problem+json")

    async with gateway(refuse) as asked:
        with pytest.raises(Refusal, match="There is no job of that id") as caught:
            await asked.status("no/such job")
    assert caught.value.code == 1
    assert caught.value.status == 404


async def test_what_is_not_a_gateway_is_told_by_its_address() -> None:
    async def greet(_: web.Request) -> web.Response:
        return web.Response(text="<h1>It works!</h1>", content_type="text/html")

    async with gateway(greet) as asked:
        with pytest.raises(CommandError, match=f"what answers at {asked.url} is not a gateway of this release"):
            await asked.status("j-1")


@pytest.mark.parametrize("url", ["gateway", "http://", "http://one two"])
async def test_what_is_no_address_is_told(url: str) -> None:
    async with client.connected(url) as asked:
        with pytest.raises(CommandError):
            await asked.status("j-1")


async def test_a_gateway_that_is_away_for_a_moment_is_waited_for() -> None:
    (port,) = choose(1)
    shown: list[Status] = []
    times = 0

    async def first(_: web.Request) -> web.Response:
        nonlocal times
        times += 1
        return web.json_response(QUEUED) if times == 1 else web.Response(status=503)

    async def second(_: web.Request) -> web.Response:
        return web.json_response(COMPLETED)

    async with client.connected(f"http://127.0.0.1:{port}") as asked:
        async with gateway(first, port=port):
            assert (await asked.status("j-1")).status == "queued"
            with pytest.raises(Unreachable):
                await asked.status("j-1")
        with pytest.raises(Unreachable, match=r"start the fleet with `./quire up`"):
            await asked.status("j-1")
        async with gateway(second, port=port):
            assert (await watch.until_ended(asked, "j-1", shown.append)).ended
    assert [status.status for status in shown] == ["completed"]


async def test_a_gateway_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE_S", 0.3)
    (port,) = choose(1)
    started = time.monotonic()
    async with client.connected(f"http://127.0.0.1:{port}") as asked:
        with pytest.raises(Unreachable):
            await watch.until_ended(asked, "j-1", lambda _: None)
    assert time.monotonic() - started >= 0.3


async def test_the_gateway_is_the_one_given_or_the_one_that_runs_here_or_the_usual_one(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path)}
    assert client.find(None, environ) == "http://127.0.0.1:8080"
    folder = Folder(tmp_path)
    async with datafolder.claimed(folder):
        folder.publish(Running(pid=os.getpid(), api_url="http://127.0.0.1:8099", redis_url="", processes=[]))
        assert client.find(None, environ) == "http://127.0.0.1:8099"
        assert client.find(None, {**environ, "QUIRE_URL": "http://there"}) == "http://there"
        assert client.find("http://here", {**environ, "QUIRE_URL": "http://there"}) == "http://here"

"""A fleet of real processes in which traps can be set: each service as tests/faults/launch.py starts it.

Who dies is started again at once, as a supervisor would. How the fleet ends is part of each test: exit code 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pybase64
from redis.asyncio import Redis

from shared import bus, keys
from shared import fleet as signs
from tests import fleets, pages
from tests.clients import JSON, PDF, Client
from tests.conftest import eventually
from tests.faults.traps import Caught, Trap, Traps
from tests.faults.verdict import Asked, verdict
from tests.servers import embedded_process, free_port
from tests.standin import server
from tests.standin.behaviour import Behaviour
from tests.standin.calls import Call
from tests.standin.server import Model

COUNTS = {"gateway": 1, "splitter": 2, "page_worker": 2, "aggregator": 2, "tts": 2, "keeper": 1}
ENDED_S = 30


class Child:
    """One process; `name` such as page_worker-2."""

    def __init__(self, name: str, env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.service = name.partition("-")[0]
        self.codes: list[int] = []
        """Exit codes of its lives so far, negative for a signal."""
        self.pid = 0
        self._env = env
        self._folder = folder
        self.kept = True
        """It is started again when it ends."""

    async def keep(self) -> None:
        """Start it, and again whenever it ends, until `end`."""
        command = [sys.executable, "-m", "tests.faults.launch", f"services.{self.service}", "--traps"]
        while self.kept:
            with (self._folder / "fleet.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *command, str(self._folder), cwd=fleets.PROJECT, env=self._env, stdout=log, stderr=log
                )
            self.pid = process.pid
            try:
                self.codes.append(await process.wait())
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                self.pid = 0

    def signal(self, signum: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, signum)

    def end(self) -> None:
        """SIGTERM, and it is not started again."""
        self.kept = False
        self.signal(signal.SIGTERM)


class Fleet:
    """A fleet that runs, its model, its traps and its Redis."""

    def __init__(self, folder: Path, redis: Redis, model: Model, api: Client, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.redis = redis
        self.model = model
        self.api = api
        self.session = session
        self.traps = Traps(folder)
        self.children: dict[str, Child] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._env: dict[str, str] = {}

    def of(self, service: str) -> list[Child]:
        return [child for child in self.children.values() if child.service == service]

    def start(self, name: str, **variables: object) -> Child:
        """A process more; `variables` in lower case."""
        made = {key.upper(): str(value) for key, value in variables.items()}
        child = self.children[name] = Child(name, {**self._env, **made}, self.folder)
        self._keeping[name] = asyncio.create_task(child.keep(), name=name)
        return child

    async def end(self, name: str, *, within_s: float) -> int:
        """SIGTERM to one process; its exit code."""
        child = self.children.pop(name)
        child.end()
        await asyncio.wait_for(self._keeping.pop(name), within_s)
        return child.codes[-1]

    def lines(self) -> list[dict[str, Any]]:
        """What the services have said so far."""
        raw = (self.folder / "fleet.log").read_bytes().splitlines(keepends=True)
        return [msgspec.json.decode(line) for line in raw if line.startswith(b"{") and line.endswith(b"\n")]

    def said(self, action: str) -> int:
        return sum(line.get("action") == action for line in self.lines())

    async def whole(self) -> None:
        """Return when every process gives signs of life and holds nothing."""

        async def missing() -> set[str]:
            living = {sign.pid: sign for sign in (await signs.living(self.redis)).values()}
            return {child.name for child in self.children.values() if child.pid not in living or living[child.pid].busy}

        await eventually(missing, within_s=60, until=lambda names: not names)

    async def fresh(self, behaviour: Behaviour, *, limits_known: bool = False) -> None:
        """As if nothing had been before: all run, no trap is set, nobody knows the model's limits, unless they may."""
        self.traps.clear()
        await self.whole()
        self.model.behave(behaviour)
        self.model.forget()
        if limits_known:
            return
        for model in (fleets.PAGE_MODEL, fleets.SUMMARY_MODEL, "voice"):
            await self.redis.delete(keys.limiter(model))

    def calls(self) -> list[Call]:
        """All, for speech too."""
        return [*self.model.calls, *self.model.spoken]

    async def submit(self, images: Sequence[bytes], *, batch_size: int = 4, narrate: bool = True) -> Asked:
        """Submit page images until it is answered, as a client does that got no answer."""
        asked = Asked(id=str(uuid.uuid4()), pages=len(images), tokens=tuple(map(pages.token, images)), narrate=narrate)
        body = {
            "job_id": asked.id,
            "user_id": "reader",
            "images_base64": [pybase64.b64encode_as_string(image) for image in images],
            "num_pages": len(images),
            "file_type": "jpeg",
        }
        path = f"/process-large-document?narrate={str(narrate).lower()}&batch_size={batch_size}"
        await self._accepted(path, msgspec.json.encode(body), JSON)
        return asked

    async def submit_pdf(self, document: bytes, count: int, *, batch_size: int = 4) -> Asked:
        """Likewise, a PDF of `count` pages, narrated."""
        asked = Asked(id=str(uuid.uuid4()), pages=count, narrate=True)
        path = f"/documents?job_id={asked.id}&user_id=reader&narrate=true&batch_size={batch_size}"
        await self._accepted(path, document, PDF)
        return asked

    async def _accepted(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        deadline = time.monotonic() + ENDED_S
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # the gateway may be just starting
                sent = io.BytesIO(body)  # a stream: aiohttp objects to large bodies in one piece
                async with self.session.post(path, data=sent, headers=headers) as answer:
                    if answer.status == 202:
                        return
                    assert answer.status == 503, await answer.text()
            assert time.monotonic() < deadline, "no gateway took the document"
            await asyncio.sleep(0.1)

    async def caught(self, trap: Trap, *, within_s: float = ENDED_S) -> Caught:
        """Who walked into this trap first."""
        wanted = (trap.service, trap.point, trap.action)

        async def found() -> list[Caught]:
            return [one for one in self.traps.caught() if (one.service, one.point, one.action) == wanted]

        return (await eventually(found, within_s=within_s))[0]

    async def ended(self, asked: Asked, *, within_s: float = ENDED_S) -> dict[str, Any]:
        """The job's status once it and its narration have ended."""

        async def status() -> dict[str, Any]:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # the gateway may be just starting
                return await self.api.status(asked.id)
            return {}

        def over(answer: dict[str, Any]) -> bool:
            return answer.get("stage") == "ended" and answer["audio"] not in ("pending", "speaking")

        return await eventually(status, within_s=within_s, until=over)

    async def judged(self, *asked: Asked, extra: int, extra_each: int | None = None) -> None:
        """Fails with the verdict, where after a while of quiet it is not clean."""
        await self.whole()

        async def wrong() -> list[str]:
            return await verdict(self.redis, self.session, asked, self.calls(), extra=extra, extra_each=extra_each)

        await eventually(wrong, within_s=5, until=lambda sentences: not sentences)

    async def close(self) -> None:
        """SIGTERM to all; each must end with exit code 0."""
        codes = await asyncio.gather(*(self.end(name, within_s=fleets.ENDING_S) for name in list(self.children)))
        assert set(codes) <= {0}, f"exit codes {codes}"

    async def destroy(self) -> None:
        """What is left is killed."""
        for task in self._keeping.values():
            task.cancel()
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)

    def environment(self, redis_url: str, model_url: str, settings: dict[str, object]) -> None:
        """What every process gets."""
        self._env = fleets.environment(
            self.folder,
            REDIS_URL=redis_url,
            BLOB_URL=f"file://{self.folder / 'blobs'}",
            OPENAI_BASE_URL=model_url,
            OPENAI_API_KEY="sk-test",
            PAGE_MODEL=fleets.PAGE_MODEL,
            SUMMARY_MODEL=fleets.SUMMARY_MODEL,
            TTS_MODEL="voice",
            PYTHONPATH=str(fleets.PROJECT),
            **{name.upper(): str(value) for name, value in settings.items()},
        )


class Server:
    """The fleet's Redis, which can be killed and started again with the same append-only file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        self.url, self._process = self._stack.enter_context(
            embedded_process("--appendfsync", "always", folder=self._folder, port=self._port)
        )

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._stack.close()

    def close(self) -> None:
        self._stack.close()


@asynccontextmanager
async def started(
    folder: Path, *, counts: dict[str, int] = COUNTS, **settings: object
) -> AsyncIterator[tuple[Fleet, Server]]:
    """A fleet whose data lie in `folder`; `settings` are environment variables in lower case.

    Fails where a process does not end with exit code 0 after SIGTERM, or is left behind.
    """
    (folder / "redis").mkdir()
    store, port = Server(folder / "redis"), free_port()
    store.start()
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        model = await stack.enter_async_context(server.serve())
        redis = await stack.enter_async_context(bus.connect(store.url))
        session = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
        fleet = Fleet(folder, redis, model, Client(session), session)
        stack.push_async_callback(fleet.destroy)
        fleet.environment(store.url, model.url, settings)
        for service, count in counts.items():
            for number in range(1, count + 1):
                fleet.start(f"{service}-{number}", port=port if service == "gateway" else 0)
        await fleet.whole()
        yield fleet, store
        fleet.traps.clear()
        await fleet.whole()
        await fleet.close()
    assert fleets.members(folder) == {}

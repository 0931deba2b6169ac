"""Whole fleets of real processes, for tests: `python -m cli up` with a stand-in model, gone afterwards.

What ends a fleet is part of each test that uses one: SIGTERM, exit code 0, and no process that is left behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.datafolder import Folder, Process
from shared import bus, keys
from shared import fleet as signs
from shared.events import Fact
from tests.clients import Client
from tests.conftest import eventually
from tests.servers import free_port
from tests.standin import server
from tests.standin.behaviour import Behaviour
from tests.standin.server import Model

PROJECT = Path(__file__).resolve().parents[1]
READY_S = 60
"""How long a start may take where other tests share the machine."""
ENDING_S = 60
"""Likewise an end, with nothing in hand."""
PAGE_MODEL, SUMMARY_MODEL = "eyes", "pen"

SLOTS = 16
"""PAGE_CONCURRENCY of each of the two workers of the fleet that tests leave as it is."""
MORTAL_SLOTS = 8
"""Of the fleet whose parts are killed: most pages of a job are still unread when that happens."""
MORTAL_LEASE_S = 2
"""Its pages are taken over so long after a worker's death, and up to 6 s later."""
MORTAL_GRACE_S = 3
"""Above the calls of its tests, but for those that hang."""

_HANDED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "VIRTUAL_ENV")
"""All that a fleet gets of this process' environment: nothing that would make it another fleet."""


class Line(msgspec.Struct):
    """A line of a service's log, as far as tests look at it."""

    service: str
    action: str = ""
    message: str = ""
    job: str = ""
    attempts: int = 0


class Fleet:
    """A fleet that is ready, its model, and the ways to look into it."""

    def __init__(self, folder: Path, api: Client, redis: Redis, model: Model) -> None:
        self.folder = folder
        self.api = api
        self.redis = redis
        self.model = model

    def processes(self) -> dict[str, Process]:
        """By name, as `fleet.json` tells them now."""
        running = Folder(self.folder).running()
        return {process.name: process for process in running.processes} if running else {}

    def pids(self, service: str) -> list[int]:
        return [process.pid for process in self.processes().values() if process.service == service]

    def named(self, pid: int) -> Process:
        """The process that has this pid."""
        return next(process for process in self.processes().values() if process.pid == pid)

    def said(self) -> str:
        """What `up` itself has said so far: sentences, each a line of its own."""
        lines = (self.folder / "up.log").read_text().splitlines()
        return "\n".join(line for line in lines if not line.startswith("{"))

    def log(self) -> list[Line]:
        """What the services have said so far."""
        lines = (self.folder / "up.log").read_bytes().splitlines(keepends=True)
        return [
            msgspec.json.decode(line, type=Line) for line in lines if line.startswith(b"{") and line.endswith(b"\n")
        ]

    async def hands(self, fact: type[Fact]) -> dict[int, int]:
        """Pid -> entries of this fact's stream that the process has in hand; without those that have none."""
        living = await signs.living(self.redis)
        consumers = await self.redis.xinfo_consumers(fact.stream, fact.group)
        return {
            living[consumer["name"]].pid: consumer["pending"]
            for consumer in consumers
            if consumer["pending"] and consumer["name"] in living
        }

    async def kill(self, *pids: int) -> None:
        """SIGKILL; returns when `up` knows that they are gone."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await self.without(*pids)

    async def without(self, *pids: int, within_s: float = 10) -> None:
        """Return when none of these is a process of the fleet any more."""

        async def listed() -> set[int]:
            return set(pids) & {process.pid for process in self.processes().values()}

        await eventually(listed, within_s=within_s, until=lambda left: not left)

    async def whole(self) -> None:
        """Return when every process runs and gives signs of life, whatever a test did to some of them."""

        async def missing() -> set[str]:
            try:
                living = {sign.pid for sign in (await signs.living(self.redis)).values()}
            except RedisError:
                return {"redis"}
            processes = self.processes().values()
            return {process.name for process in processes if process.service != "redis" and process.pid not in living}

        await eventually(missing, within_s=READY_S, until=lambda names: not names)

    async def fresh(self) -> None:
        """As if nothing had been before: no job runs, the model behaves, nobody knows its limits or what it said."""
        self.model.behave(Behaviour())
        active: Any = await self.redis.zrange(keys.ACTIVE, 0, -1)
        for ref in active:
            await self.api.cancel(ref.partition("/")[2])
        self.model.forget()
        answers = [key async for key in self.redis.scan_iter(keys.cache("*"), count=1000)]
        await self.redis.delete(keys.limiter(PAGE_MODEL), keys.limiter(SUMMARY_MODEL), *answers)


@asynccontextmanager
async def started(folder: Path, **settings: object) -> AsyncIterator[Fleet]:
    """A fleet whose data lie in `folder`; `settings` are environment variables in lower case.

    Fails where it does not end with exit code 0 after SIGTERM, or leaves a process behind.
    """
    port = free_port()
    async with server.serve() as model, _up(folder, port, model.url, settings) as process:
        assert process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline()
        assert line.startswith(b"ready: "), (folder / "up.log").read_text()[-2000:]
        running = Folder(folder).running()
        assert running is not None
        async with aiohttp.ClientSession(running.api_url) as session, bus.connect(running.redis_url) as redis:
            fleet = Fleet(folder, Client(session), redis, model)
            yield fleet
            await fleet.fresh()  # nothing is in hand: what a failed test left would be drained for minutes
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDING_S):
            assert await process.wait() == 0
        assert members(folder) == {}


@asynccontextmanager
async def _up(
    folder: Path, port: int, model_url: str, settings: dict[str, object]
) -> AsyncIterator[asyncio.subprocess.Process]:
    env = environment(
        folder,
        OPENAI_BASE_URL=model_url,
        OPENAI_API_KEY="sk-test",
        PAGE_MODEL=PAGE_MODEL,
        SUMMARY_MODEL=SUMMARY_MODEL,
        **{name.upper(): str(value) for name, value in settings.items()},
    )
    with (folder / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command("up", "--port", str(port)),
            cwd=PROJECT,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
            await gone(folder)


def command(*arguments: str) -> list[str]:
    """The command line of `./quire`."""
    return [sys.executable, "-m", "cli", *arguments]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """For a command whose data lie in `folder`."""
    kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return {**kept, "DATA_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **variables}


def members(folder: Path) -> dict[int, str]:
    """Pid -> command of every process that was started for this folder, wherever it stands in the tree.

    They are known by their environment, which they inherit: a process whose parent has died is found too.
    """
    mark = f"DATA_DIR={folder}"
    found = {}
    if sys.platform == "linux":
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
            except OSError:  # it has just ended, or is somebody else's
                continue
        return found
    listed = subprocess.run(["ps", "-axEww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        pid, _, rest = line.strip().partition(" ")
        if mark in rest.split():
            found[int(pid)] = rest
    return found


async def gone(folder: Path) -> None:
    """Return when no process of this folder's fleet is left."""

    async def left() -> dict[int, str]:
        return members(folder)

    await eventually(left, within_s=ENDING_S, until=lambda found: not found)

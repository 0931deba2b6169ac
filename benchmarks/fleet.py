"""A fleet for one run: `python -m cli up` with a data folder of its own. Nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from benchmarks import processes
from benchmarks.errors import BenchmarkError
from benchmarks.parameters import DRAIN_S, READY_LIMIT_S
from benchmarks.processes import Kind, Pid
from cli import ports
from cli.datafolder import PROJECT, Folder, Running

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # no setting of its user's is measured along
_NOTICED_S = 0.2  # two signals at the same moment may arrive as one
_FORCED_S = 15  # so long a fleet may take to end when it is ended at once
_TAIL = 15  # lines of its log that are shown when it fails


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that is ready."""

    api_url: str
    redis_url: str
    ready_s: float
    """From the start of `up` until it said that it is ready."""
    folder: Folder

    def kinds(self) -> dict[Pid, Kind]:
        """Its processes as they are now; none while they are unknown."""
        running = self.folder.running()
        return processes.kinds(running) if running else {}

    async def redis_bytes(self) -> int:
        """What its Redis-protocol server has allocated now."""
        async with Redis.from_url(self.redis_url, decode_responses=True) as redis:
            return int((await redis.info("memory"))["used_memory"])

    async def server(self) -> str:
        """Name and version of its Redis-protocol server, and how safe its answers are."""
        async with Redis.from_url(self.redis_url, decode_responses=True) as redis:
            said = await redis.info("server")
            fsync = (await redis.config_get("appendfsync"))["appendfsync"]
        name = said.get("server_name", "redis")
        return f"{name} {said[f'{name}_version']}, appendfsync {fsync}"


@asynccontextmanager
async def up(workshop: Path, *flags: str, settings: dict[str, str]) -> AsyncIterator[Fleet]:
    """Run a fleet as long as the block lasts, with its data in a folder of `workshop` that goes with it.

    `flags` are those of `quire up`, `settings` its environment. Raises BenchmarkError when it does not get ready; the
    end of its log is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-", dir=workshop) as name:
        folder, log = Folder(Path(name) / "data"), Path(name) / "up.log"
        environ = {key: os.environ[key] for key in _KEPT if key in os.environ}
        environ |= {"DATA_DIR": str(folder.path), "NO_PROXY": "127.0.0.1", "LOG_FORMAT": "json", **settings}
        (port,) = ports.choose(1)
        began = time.monotonic()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", "up", "--port", str(port), *flags),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=PROJECT,
                env=environ,
                start_new_session=True,  # a Ctrl-C is for the benchmark, which then ends the fleet
            )
        try:
            await _ready(process, log)
            ready_s = time.monotonic() - began
            yield _fleet(folder, ready_s)
            await _end(process, drain=True)
        except BaseException:
            await _end(process, drain=False)
            raise


async def _ready(process: Process, log: Path) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_LIMIT_S):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise BenchmarkError(f"The fleet was not ready after {READY_LIMIT_S} s. {_tail(log)}") from error
    if not line.startswith(b"ready:"):
        raise BenchmarkError(f"The fleet can't be started. {_tail(log)}")


def _fleet(folder: Folder, ready_s: float) -> Fleet:
    running: Running | None = folder.running()
    if running is None:
        raise BenchmarkError(f"The fleet said that it is ready, and {folder.path} does not hold its fleet.json.")
    return Fleet(api_url=running.api_url, redis_url=running.redis_url, ready_s=ready_s, folder=folder)


async def _end(process: Process, *, drain: bool) -> None:
    """The first signal asks it to drain, the second to end at once; if it hangs, its undertaker ends the rest."""
    for signum, patience_s in (
        (signal.SIGTERM, DRAIN_S if drain else _NOTICED_S),
        (signal.SIGTERM, _FORCED_S),
        (signal.SIGKILL, _FORCED_S),
    ):
        with suppress(ProcessLookupError):  # it has ended
            process.send_signal(signum)
        try:
            await asyncio.wait_for(process.communicate(), patience_s)
        except TimeoutError:
            continue
        return


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join(["The end of its log:", *lines]) if lines else "It said nothing."

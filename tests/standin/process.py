"""The stand-in as a process of its own, for tests and benchmarks that keep their event loop to themselves."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.standin.behaviour import Behaviour
from tests.standin.calls import Call, Stats

_ROOT = Path(__file__).parents[2]
_ENDING_S = 5


class Remote:
    """What `server.Model` is in the same process."""

    def __init__(self, port: int, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self.pid = process.pid
        self._process = process
        self._base = f"http://127.0.0.1:{port}"
        self._session = session

    @property
    def url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"{self._base}/v1"

    async def behaviour(self) -> Behaviour:
        return msgspec.json.decode(await self._ask("GET", "/control"), type=Behaviour)

    async def behave(self, behaviour: Behaviour) -> None:
        await self._ask("POST", "/control", data=msgspec.json.encode(behaviour))

    async def calls(self) -> list[Call]:
        return msgspec.json.decode(await self._ask("GET", "/calls"), type=list[Call])

    async def spoken(self) -> list[Call]:
        return msgspec.json.decode(await self._ask("GET", "/spoken"), type=list[Call])

    async def stats(self) -> Stats:
        return msgspec.json.decode(await self._ask("GET", "/stats"), type=Stats)

    async def forget(self) -> None:
        await self._ask("DELETE", "/calls")

    async def end(self, signum: signal.Signals) -> int:
        """Send the signal and wait; returns the exit code."""
        self._process.send_signal(signum)
        return await self._process.wait()

    async def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        async with self._session.request(method, self._base + path, data=data, raise_for_status=True) as response:
            return await response.read()


@asynccontextmanager
async def start(behaviour: Behaviour | None = None, *flags: str) -> AsyncIterator[Remote]:
    """Run it with this behaviour until the block ends; `flags` are those of `python -m tests.standin --help`.

    Raises ValueError when it does not say its port: what went wrong is on standard error.
    """
    command = [sys.executable, "-m", "tests.standin", *flags]
    if behaviour is not None:
        command += ["--behaviour", msgspec.json.encode(behaviour).decode()]
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise ValueError("the stand-in has no standard output")
        port = int(await process.stdout.readline())
        async with aiohttp.ClientSession() as session:
            yield Remote(port, process, session)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _ENDING_S)
            except TimeoutError:
                process.kill()
                await process.wait()

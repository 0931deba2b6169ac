"""A Redis-protocol server of the benchmark's own, which may be killed and comes back with its file on the same port."""

from __future__ import annotations

import asyncio
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli import embedded, ports, probe


class OwnRedis:
    """The embedded server with the options that `quire up` gives it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return embedded.url(self._port)

    async def start(self) -> None:
        """Returns when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *embedded.command(self._folder, self._port, log=self._folder / "redis.log"),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        while await probe.ping(embedded.HOST, self._port):  # noqa: ASYNC110 - nobody tells when a server answers
            await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@asynccontextmanager
async def own_redis(folder: Path) -> AsyncIterator[OwnRedis]:
    """Runs until the block ends. `folder`: for its file."""
    (port,) = ports.choose(1)
    server = OwnRedis(folder, port)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()

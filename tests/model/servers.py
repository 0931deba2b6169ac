"""The servers that the ledger is tested on; `make servers` fetches those that are not embedded into .cache/servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import embedded, free_port

CACHE = Path(__file__).parents[2] / ".cache" / "servers"
DEBIAN = CACHE / "debian/usr"
LIBRARIES = [str(folder) for folder in DEBIAN.glob("lib/*")]

KINDS = ("embedded", "redis-7.0", "redis-8")
CANDIDATES = {
    "redis-7.0": (str(DEBIAN / "bin/redis-server"), "redis-server"),
    "redis-8": (str(CACHE / "wheel/redis-server"), "redis-server"),
}


@contextlib.contextmanager
def running(kind: str, *, folder: Path | None = None) -> Iterator[str]:
    """One of KINDS on a free port, its append-only file in `folder`. Yields its URL; skips where there is none."""
    if kind == "embedded":
        with embedded("--appendfsync", "no", folder=folder) as url:
            yield url
        return
    for binary in filter(None, map(shutil.which, CANDIDATES[kind])):
        if f"v={kind.removeprefix('redis-')}" in _version(binary):
            with _process(binary, folder) as url:
                yield url
            return
    pytest.skip(f"there is no {kind} here: `make servers` fetches it, or put its redis-server on the PATH")


def _environment() -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": ":".join([*LIBRARIES, os.environ.get("LD_LIBRARY_PATH", "")])}


def _version(binary: str) -> str:
    """`Redis server v=7.0.15 …`; empty where it does not run here."""
    asked = subprocess.run([binary, "--version"], capture_output=True, text=True, env=_environment(), check=False)
    return asked.stdout


@contextlib.contextmanager
def _process(binary: str, given: Path | None) -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="quire-test-redis-") as temporary:
        folder = str(given or temporary)
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"]
        server = subprocess.Popen(
            [binary, *options, "--appendfsync", "no"], env=_environment(), stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(port, server)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

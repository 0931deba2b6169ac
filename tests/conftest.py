"""What all tests share: a real Redis-protocol server, and waiting by condition."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from redis.asyncio import Redis
from yarl import URL

from shared import bus
from tests.servers import redis_server

T = TypeVar("T")


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """REDIS_URL where it is set; else a container where a Docker engine answers; else the embedded server."""
    given = os.environ.get("REDIS_URL")
    if given:
        # Tests that run side by side (pytest-xdist: gw0, gw1, …) have a database each.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield str(URL(given).with_path(f"/{worker}"))
        return
    with redis_server() as url:
        yield url


@pytest.fixture
async def redis(redis_server_url: str) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    async with bus.connect(redis_server_url) as client:
        await client.flushdb()
        yield client


@pytest.fixture
def redis_url(redis: Redis, redis_server_url: str) -> str:
    """The URL of an empty server."""
    return redis_server_url


async def eventually(
    check: Callable[[], Awaitable[T]], *, within_s: float = 10, until: Callable[[T], bool] = bool
) -> T:
    """Ask until the answer is as it should be; fails with the last answer."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await check()
        if until(answer):
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not so within {within_s} s; the last answer was {answer!r}")
        await asyncio.sleep(0.02)

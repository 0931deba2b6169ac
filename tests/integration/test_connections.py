"""A connection that ends is told of by redis-py's own errors, on the event loop that the services run on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from yarl import URL

from shared import bus
from tests.conftest import eventually
from tests.proxies import proxy

Kind = Callable[[str], AbstractAsyncContextManager[Redis]]


def on_uvloop(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("kind", [bus.connect, bus.reader], ids=["command", "reader"])
def test_a_command_on_a_connection_that_was_reset_raises_a_connection_error(redis_server_url: str, kind: Kind) -> None:
    async def work() -> None:
        url = URL(redis_server_url)
        async with (
            proxy(url.port or 6379) as between,
            kind(str(url.with_port(between.port))) as client,
            client.client() as one,
        ):
            await one.ping()
            between.reset_all()
            connection: Any = one.connection

            async def closed() -> bool:
                return bool(connection._writer.is_closing())

            await eventually(closed)
            with pytest.raises(RedisConnectionError):
                await connection.send_command("PING")
            assert await client.ping(), "the next one finds a connection that works"

    on_uvloop(work)

"""The server that loses its last second: what was promised stays, and what is cut off ends at a whole command."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from shared import bus
from tests.chaos import store
from tests.conftest import eventually


async def written(redis: Redis, name: str, values: range) -> None:
    for value in values:
        await redis.rpush(name, "x" * 100, str(value))


async def test_what_was_promised_survives_and_what_came_after_it_is_lost(tmp_path: Path) -> None:
    async with store.running(tmp_path / "redis") as server, bus.connect(server.url) as redis:
        watching = asyncio.create_task(server.watch())
        await written(redis, "promised", range(50))
        server.promise()
        await written(redis, "unsaid", range(50))
        await server.kill()
        _, lost = server.lose(60)
        await server.start()
        assert lost > 50 * 100
        assert await redis.llen("promised") == 100
        assert await redis.llen("unsaid") == 0
        watching.cancel()


async def test_only_the_last_moment_is_lost_back_to_the_end_of_a_command(tmp_path: Path) -> None:
    async with store.running(tmp_path / "redis") as server, bus.connect(server.url) as redis:
        watching = asyncio.create_task(server.watch())
        await written(redis, "old", range(20))
        looks = server.looks

        async def looked() -> bool:
            return server.looks > looks + 1

        await eventually(looked)
        watching.cancel()
        await written(redis, "new", range(20))
        await server.kill()
        since, lost = server.lose(0.0)
        await server.start()
        assert lost > 0
        assert since < asyncio.get_running_loop().time()
        assert await redis.llen("old") == 40
        assert await redis.llen("new") % 2 == 0, "a command is there whole, or not at all"

"""The fleet's Redis, for commands that look into it without asking a gateway."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli import datafolder
from cli.errors import CommandError
from shared import bus


def find(given: str | None, environ: Mapping[str, str]) -> str:
    """Its URL: as given, REDIS_URL, or that of the fleet in the data folder. Raises CommandError if there is none."""
    if given or environ.get("REDIS_URL"):
        return given or environ["REDIS_URL"]
    folder = datafolder.find(environ)
    fleet = folder.running()
    if fleet is None:
        raise CommandError(
            f"no fleet runs in {folder.path}: start one with `./quire up`, "
            "or say where its Redis is with --redis-url or REDIS_URL"
        )
    return fleet.redis_url


@asynccontextmanager
async def connected(given: str | None) -> AsyncIterator[Redis]:
    """A client of it. A server that does not answer, then or later, is told in a sentence (CommandError)."""
    url = find(given, os.environ)
    try:
        async with bus.connect(url) as redis:
            await redis.ping()
            yield redis
    except bus.RedisUnfit as error:
        raise CommandError(str(error)) from error
    except (RedisError, OSError) as error:
        raise CommandError(f"Redis at {url.rpartition('@')[2]} can't be used: {error}") from error

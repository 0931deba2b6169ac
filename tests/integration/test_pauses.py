"""A fleet whose model does not answer says so: in /readyz, in /health, and in every open job's status."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis

from shared import health, keys, pauses
from shared.fleet import Liveness
from shared.limiter import Limiter, Result
from tests import apps
from tests.conftest import eventually
from tests.integration.gateways import Fleet, Gateway, running

REFUSED = Result(kind="stop", reason="The model's server answered 401: check OPENAI_API_KEY")
DOWN = Result(kind="down", reason="The model's server answered 503: overloaded.")
OK = Result(kind="ok", tokens=1)


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path) as made:
        yield made


async def call(redis: Redis, limiter: Limiter, result: Result) -> None:
    """One call, whatever the limiter says."""
    await redis.hdel(keys.limiter(limiter.model), "probe_at", "paused_until")
    await limiter.settle(await limiter.acquire(), result)


async def lives(redis: Redis, service: str, model: str) -> Limiter:
    """A worker that calls this model gives a sign of life."""
    liveness = Liveness(redis, service=service, worker=f"{service}-1")
    liveness.models = [model]
    await liveness.give()
    return Limiter(redis, model)


async def test_every_open_job_is_told_why_it_waits_and_no_ended_one(gateway: Gateway, redis: Redis) -> None:
    fleet = Fleet(gateway.app)
    _, over = await gateway.submit()
    await fleet.finish(3)
    _, accepted = await gateway.submit()
    eyes, pen = await lives(redis, "page_worker", "eyes"), await lives(redis, "aggregator", "pen")

    async def paused(answer: Any = accepted) -> list[str | None]:
        """What its status and its result say."""
        status = (await gateway.ask("GET", answer["status_endpoint"]))[1]
        return [status["paused"], (await gateway.ask("GET", f"/documents/{answer['job_id']}"))[1]["paused"]]

    assert await paused() == [None, None]
    await call(redis, eyes, REFUSED)
    why, same = await eventually(paused, until=all)  # it is looked at once a second
    assert why == same
    assert why == (
        "The model eyes refuses the fleet until a person acts: The model's server answered 401: check OPENAI_API_KEY. "
        "One call at a time tries again."
    )
    assert await paused(over) == [None, None]
    status, told = await gateway.ask("GET", "/health")
    assert (status, told["dependencies"]["model"]) == (200, "stopped")
    status, told = await gateway.ask("GET", "/readyz")
    assert (status, told["problems"], told["notices"]) == (200, [], [why])

    await call(redis, eyes, OK)
    await eventually(paused, until=lambda told: not any(told))
    await call(redis, pen, DOWN)
    why, _ = await eventually(paused, until=all)
    assert why == (
        "The model pen is down: The model's server answered 503: overloaded. One call at a time tries again."
    )
    await call(redis, pen, Result(kind="busy", retry_after_s=100, reason="Rate limit reached."))
    why, _ = await eventually(paused, until=lambda told: "asks to wait" in str(told))
    assert str(why).startswith("The model pen asks to wait ")


async def test_a_short_wait_is_the_models_everyday_pace(redis: Redis) -> None:
    limiter = Limiter(redis, "eyes")
    await call(redis, limiter, Result(kind="busy", retry_after_s=2, reason="Rate limit reached."))
    (stats,) = await pauses.limits(redis, ["eyes", "unused"])
    assert (stats.state, stats.why, stats.pause) == ("paused", "Rate limit reached.", "")
    assert 1 < stats.wait_s <= 2


async def test_a_worker_whose_own_key_is_refused_is_not_ready_and_one_that_only_waits_is(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    async with apps.app(redis_url, tmp_path) as app, aiohttp.ClientSession() as session:
        mine, anothers = Limiter(redis, "eyes"), Limiter(redis, "eyes")
        app.calls(mine)
        web_app = web.Application()
        web_app.add_routes(health.routes(app.ailments, notices=app.notices))
        async with health.serve(web_app, host="127.0.0.1", port=0) as port:

            async def readyz() -> tuple[int, list[str], list[str]]:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    told = await response.json()
                    return response.status, told["problems"], told["notices"]

            assert await readyz() == (200, [], [])
            await call(redis, anothers, REFUSED)
            status, problems, (notice,) = await readyz()
            assert (status, problems) == (200, []), "a new worker may have the right key"
            await call(redis, mine, REFUSED)
            assert await readyz() == (503, [notice], [])
            assert "check OPENAI_API_KEY" in notice
            await call(redis, anothers, OK)
            assert await readyz() == (200, [], []), "the fleet goes on by itself"
            await call(redis, mine, DOWN)
            await call(redis, mine, DOWN)
            await call(redis, mine, DOWN)
            status, problems, (notice,) = await readyz()
            assert (status, problems) == (200, [])
            assert notice.startswith("The model eyes is down: ")

"""No key of a finished job without a lifetime: on a whole fleet, with the keeper's own setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import keys
from shared.events import FACTS
from tests import fleets
from tests.conftest import eventually
from tests.fleets import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY_MS = 86_400_000
WHOLE = {keys.CLOCK, keys.ENDED, keys.CONTROL, keys.LIVE, *(fact.stream for fact in FACTS)}
"""Keys of the fleet, there for ever; what they hold of a job leaves with it."""


async def test_a_finished_job_leaves_no_key_without_a_lifetime(fleet: Fleet) -> None:
    async def retention() -> str | None:
        return await fleet.redis.hget(keys.CLOCK, "retention_ms")

    await eventually(retention, until=lambda said: said == str(30 * DAY_MS))
    done, cancelled = [await fleet.api.pages(30, seed=seed) for seed in (51, 52)]
    await fleet.api.cancel(cancelled)
    assert (await fleet.api.ended(done))["status"] == "completed"
    for job in (done, cancelled):
        found = await fleet.redis.keys(f"{keys.job('')}*{job}*")
        assert found
        for key in found:
            assert 29 * DAY_MS < await fleet.redis.pttl(key) <= 30 * DAY_MS, key
        ends = [name for name in await fleet.redis.zrange(keys.ENDED, 0, -1) if job in name]
        assert len(ends) == 1

    async def mentions() -> dict[str, str]:
        """Keys of the fleet that live for ever and still hold something of these jobs."""
        left = {}
        for key in await fleet.redis.keys("*"):
            if await fleet.redis.pttl(key) != -1 or key in {keys.ENDED, keys.CONTROL} or key.endswith(".dead"):
                continue
            kind = await fleet.redis.type(key)
            reading = {"hash": fleet.redis.hgetall, "zset": lambda it: fleet.redis.zrange(it, 0, -1)}
            content = str(await reading.get(kind, fleet.redis.xrange)(key))
            if done in content or cancelled in content:
                left[key] = content[:200]
        return left

    await eventually(mentions, until=lambda left: left == {})
    for_ever = {key for key in await fleet.redis.keys("*") if await fleet.redis.pttl(key) == -1}
    assert {key for key in for_ever if not key.endswith(".dead") and not key.startswith(keys.job(""))} <= WHOLE


@pytest.mark.slow
async def test_what_has_outlived_its_lifetime_is_gone_from_redis_and_from_the_disk(tmp_path: Path) -> None:
    lifetime_days = 5 / 86_400
    async with fleets.started(tmp_path, retention_days=lifetime_days) as fleet:
        job = await fleet.api.pages(5, seed=61)
        assert (await fleet.api.ended(job))["status"] == "completed"

        async def left() -> list[str]:
            stored = [str(path) for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
            return [*await fleet.redis.keys(f"*{job}*"), *await fleet.redis.zrange(keys.ENDED, 0, -1), *stored]

        assert len(await left()) > 10
        await eventually(left, within_s=40, until=lambda found: not found)

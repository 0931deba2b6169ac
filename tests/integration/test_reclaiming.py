"""Whoever takes over from the dead: when it counts a crash, and when it can't know of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import keys, reclaim
from shared.events import PageRequested
from shared.fleet import BEATS, LIVE, Liveness
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.conftest import eventually

LEASE_S = 0.3
IDLE_MS = int(LEASE_S * 1000)
A_WHILE_S = 10_000


@pytest.fixture
async def app(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def stale(app: App[Settings], *, steady_s: float) -> list[reclaim.Stale]:
    """What a worker finds that has given its signs for so long, once there is something."""

    async def found() -> list[reclaim.Stale]:
        return [one async for one in reclaim.find(app.redis, PageRequested, idle_ms=IDLE_MS, steady_s=steady_s)]

    return await eventually(found)


async def test_who_was_away_itself_leaves_what_the_dead_held_until_it_can_tell(
    app: App[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.reclaim.SETTLING", 0)
    await apps.ready_pages(app, pages=1)
    await apps.take(app.redis, PageRequested, "vanished")
    (found,) = await stale(app, steady_s=A_WHILE_S)
    assert [one async for one in reclaim.find(app.redis, PageRequested, idle_ms=IDLE_MS, steady_s=0)] == []
    assert (found.owner, found.crashed) == ("vanished", True)
    taken = await reclaim.take(app.ledger, found, idle_ms=IDLE_MS)
    assert taken is not None
    assert taken.fact.crashes == 1


async def test_a_server_that_has_just_started_has_no_crash_counted(
    app: App[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.reclaim.SETTLING", A_WHILE_S)
    await apps.ready_pages(app, pages=1)
    await apps.take(app.redis, PageRequested, "vanished")
    (found,) = await stale(app, steady_s=A_WHILE_S)
    assert not found.crashed


async def test_a_worker_that_gives_signs_of_life_is_not_taken_for_dead(
    app: App[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.reclaim.SETTLING", 0)
    await apps.ready_pages(app, pages=1)
    await apps.take(app.redis, PageRequested, app.worker)
    (found,) = await stale(app, steady_s=0)
    assert (found.owner, found.crashed) == (app.worker, False)


async def test_a_sign_of_life_is_gone_before_the_first_lease_runs_out(redis: Redis) -> None:
    assert 2 / BEATS < LIVE, "a sign outlives a beat that was missed"
    await Liveness(redis, service="page_worker", worker="one", lease_s=30).give()
    assert 19_000 < await redis.pttl(keys.live("one")) <= 20_000


async def test_a_gap_in_its_own_signs_makes_a_worker_begin_anew(redis: Redis) -> None:
    liveness = Liveness(redis, service="page_worker", worker="one", lease_s=LEASE_S)
    await liveness.give()

    async def steady_s() -> float:
        return liveness.steady_s

    assert await eventually(steady_s) > 0
    await eventually(steady_s, until=lambda seconds: seconds == 0)  # no sign for two thirds of a lease
    await asyncio.sleep(LEASE_S)
    await liveness.give()
    assert liveness.steady_s < LEASE_S * LIVE, "the time before the gap does not count"

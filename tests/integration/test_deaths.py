"""A page that kills its workers is told from one that was in the hands of workers that died anyway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import PageRequested
from shared.ledger import Entry
from shared.service import App
from shared.settings import Settings
from shared.suspects import BURIED_AFTER
from tests import apps


@pytest.fixture
async def app(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


async def dies(app: App[Settings], entry: Entry, worker: str) -> int | None:
    """The entry is in this worker's hands when it dies; how many crashes count against it then."""
    await app.redis.xclaim(entry.fact.stream, entry.fact.group, worker, 0, [entry.id])
    return await app.ledger.reclaim(entry, owner=worker, idle_ms=0, crashed=True)


async def test_a_page_that_alone_kills_its_workers_is_given_up_after_three(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=2)
    poison, other = await apps.take(app.redis, PageRequested, "reader")
    assert await dies(app, other, "dead-0") == 1
    assert await dies(app, other, "dead-1") == 2
    assert [await dies(app, poison, f"dead-{n}") for n in (1, 2, 3)] == [1, 2, BURIED_AFTER]


async def test_a_page_is_not_given_up_where_as_many_workers_die_without_it(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=4)
    unlucky, *others = await apps.take(app.redis, PageRequested, "reader")
    for number, entry in enumerate(others):
        await dies(app, entry, f"elsewhere-{number}")
    counted = [await dies(app, unlucky, f"here-{number}") for number in range(6)]
    assert counted == [1, 2, 2, 4, 5, 6], "from the fourth on, more have died with it than without it"
    assert 0 < await app.redis.pttl(keys.DEATHS) <= 600_000


async def test_however_many_die_elsewhere_six_crashes_are_enough(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=4)
    unlucky, entry, *_ = await apps.take(app.redis, PageRequested, "reader")
    for number in range(20):
        await dies(app, entry, f"elsewhere-{number}")
    counted = [await dies(app, unlucky, f"here-{number}") for number in range(6)]
    assert counted == [1, 2, 2, 2, 2, 6]

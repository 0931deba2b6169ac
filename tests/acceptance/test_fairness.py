"""Small is not stuck behind large."""

from __future__ import annotations

import time

import pytest

from tests.conftest import eventually
from tests.fleets import Fleet
from tests.standin.behaviour import Behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOOK = 300
LATENCY_S = 0.25


async def timed(fleet: Fleet, *, seed: int) -> float:
    """Seconds from the submission of a document of one page to its end."""
    began = time.monotonic()
    job = await fleet.api.pages(1, seed=seed)
    assert (await fleet.api.ended(job))["status"] == "completed"
    return time.monotonic() - began


async def test_a_page_that_arrives_while_a_book_is_read_takes_at_most_twice_its_time(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=LATENCY_S))
    await timed(fleet, seed=60)  # the first answers are awaited by everybody
    alone_s = await timed(fleet, seed=61)
    book = await fleet.api.pages(BOOK, seed=62)

    async def busy() -> bool:
        return fleet.model.stats().in_flight >= 25

    await eventually(busy)
    beside_s = await timed(fleet, seed=63)
    read = (await fleet.api.status(book))["pages"]["done"]
    assert beside_s <= 2 * alone_s
    assert read < BOOK * 2 / 3, "the book was far from its end"
    assert (await fleet.api.ended(book))["status"] == "completed"

"""A fleet for all tests that leave it as it is. Who kills something starts one of their own (`tests.fleets`)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests import fleets
from tests.fleets import Fleet

PAGE_CONCURRENCY = 16
"""Of each of the two workers, one of which is kept for pages taken over: 30 pages at a time."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Runs from the first test that needs it to the end of the session."""
    async with fleets.started(tmp_path_factory.mktemp("fleet"), page_concurrency=PAGE_CONCURRENCY) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(standing_fleet: Fleet) -> Fleet:
    """The standing fleet, as if this test were its first."""
    await standing_fleet.fresh()
    return standing_fleet

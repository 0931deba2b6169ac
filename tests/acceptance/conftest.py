"""Two fleets for the whole session: one that every test leaves as it is, and one of which tests may kill the parts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests import fleets
from tests.fleets import MORTAL_GRACE_S, MORTAL_LEASE_S, MORTAL_SLOTS, SLOTS, Fleet


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Runs from the first test that needs it to the end of the session."""
    async with fleets.started(tmp_path_factory.mktemp("fleet"), page_concurrency=SLOTS) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(standing_fleet: Fleet) -> Fleet:
    """The standing fleet, as if this test were its first. Nobody kills anything in it."""
    await standing_fleet.fresh()
    return standing_fleet


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mortal_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Likewise; its times are short."""
    folder, slots = tmp_path_factory.mktemp("mortal"), MORTAL_SLOTS
    async with fleets.started(folder, lease_s=MORTAL_LEASE_S, grace_s=MORTAL_GRACE_S, page_concurrency=slots) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def mortal(mortal_fleet: Fleet) -> Fleet:
    """The mortal fleet, recovered from the test before."""
    await mortal_fleet.whole()
    await mortal_fleet.fresh()
    return mortal_fleet

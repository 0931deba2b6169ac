"""A fleet in which traps can be set, for the whole session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults import fleet as faulty
from tests.faults.cases import SLOTS, VOICES
from tests.faults.fleet import Fleet
from tests.standin.behaviour import Behaviour

LEASE_S = 2
LATENCY_S = 0.2
"""Of the model. Calls take a tenth of a lease, and a document of eight pages some seconds."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trapped_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Runs from the first test that needs it to the end of the session."""
    folder = tmp_path_factory.mktemp("trapped")
    async with faulty.started(folder, lease_s=LEASE_S, grace_s=5, page_concurrency=SLOTS, tts_concurrency=VOICES) as (
        fleet,
        _,
    ):
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def trapped(trapped_fleet: Fleet) -> Fleet:
    """The fleet, recovered from the test before."""
    await trapped_fleet.fresh(Behaviour(latency_s=LATENCY_S))
    return trapped_fleet

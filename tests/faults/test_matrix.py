"""Whatever a service meets at whichever point: every page once, every batch once, one summary, one narration, nothing
left over, and no more calls than were in flight.
"""

from __future__ import annotations

import asyncio
import os
import signal
import zlib
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests import pages
from tests.faults import cases
from tests.faults import fleet as faulty
from tests.faults.cases import BATCH_SIZE, KEPT, MATRIX, PAGES, QUICK, Case
from tests.faults.conftest import LATENCY_S, LEASE_S
from tests.faults.fleet import Fleet
from tests.faults.verdict import Asked
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASES_STOPPED = 1.5
QUICK_CASES = list(cases.read(QUICK))
SLOW_CASES = [case for case in cases.read(MATRIX) if case not in QUICK_CASES]
MODEL = Behaviour(latency_s=LATENCY_S, rules=[Rule(schema="speech", latency_s=LATENCY_S / 4)])
SLOW_VOICE = Behaviour(latency_s=LATENCY_S)


@pytest_asyncio.fixture(loop_scope="session")
async def matrix(trapped_fleet: Fleet) -> Fleet:
    """The fleet, recovered from the case before. What it knows of the model stays: else each case waits for a probe."""
    await trapped_fleet.fresh(MODEL, limits_known=True)
    return trapped_fleet


async def suffered(fleet: Fleet, case: Case, *, lease_s: float, within_s: float = faulty.ENDED_S) -> None:
    """A document goes through a fleet in which the traps are set; all were walked into, and the verdict is clean."""
    fleet.model.behave(SLOW_VOICE if case.service == "tts" else MODEL)
    fleet.traps.set(*case.traps)
    submission = asyncio.create_task(_submitted(fleet, case), name="submission")
    try:
        for trap in case.traps:
            caught = await fleet.caught(trap, within_s=within_s)
        if case.fault == "stop":
            await asyncio.sleep(LEASES_STOPPED * lease_s)
            os.kill(caught.pid, signal.SIGCONT)
        asked = await submission
    finally:
        submission.cancel()
    if case.fault == "withdraw":
        await fleet.api.cancel(asked.id)
        asked = msgspec.structs.replace(asked, cancelled=True, narrate=False)
    status = await fleet.ended(asked, within_s=within_s)
    assert (status["status"], status["audio"]) == case.ends, status
    await fleet.judged(asked, extra=case.extra, extra_each=min(case.extra, 1))
    if case.service == "page_worker" and case.point in KEPT:
        assert times_read(fleet, asked.tokens[int(caught.told.rpartition(":")[2])]) == 1


def times_read(fleet: Fleet, token: str) -> int:
    """Calls for this page image that were answered."""
    return sum(call.token == token and call.did == "answer" and not call.aborted for call in fleet.calls())


async def _submitted(fleet: Fleet, case: Case) -> Asked:
    """A document that no other case has, as a PDF where its page images are to be made."""
    seed = zlib.crc32(str(case).encode())
    if (case.service, case.point) == ("splitter", "after_blob"):
        return await fleet.submit_pdf(pages.pdf(PAGES, seed=seed), PAGES, batch_size=BATCH_SIZE)
    images = [pages.page_image(number, seed=seed) for number in range(1, PAGES + 1)]
    return await fleet.submit(images, batch_size=BATCH_SIZE)


@pytest.mark.parametrize("case", QUICK_CASES, ids=str)
async def test_every_page_ends_once_whatever_is_met_where(matrix: Fleet, case: Case) -> None:
    await suffered(matrix, case, lease_s=LEASE_S)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW_CASES, ids=str)
async def test_every_page_ends_once_whatever_is_met_anywhere_else(matrix: Fleet, case: Case) -> None:
    await suffered(matrix, case, lease_s=LEASE_S)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_worker_that_sleeps_for_45_seconds_of_a_lease_of_30_costs_only_what_it_had_in_flight(
    tmp_path: Path,
) -> None:
    counts = {"gateway": 1, "splitter": 1, "page_worker": 2, "aggregator": 1, "tts": 1, "keeper": 1}
    case = Case(service="page_worker", point="after_call", fault="stop")
    async with faulty.started(tmp_path, counts=counts, page_concurrency=cases.SLOTS, tts_concurrency=2) as (fleet, _):
        await fleet.fresh(MODEL)
        await suffered(fleet, case, lease_s=30, within_s=120)

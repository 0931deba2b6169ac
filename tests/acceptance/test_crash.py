"""Whoever is killed (SIGKILL) in mid work: every page ends once, and a crash costs at most the calls in flight."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.events import BatchRequested, PageRequested
from tests import fleets, pages
from tests.conftest import eventually
from tests.fleets import PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASE_S = 2
"""After a worker's death its pages wait this long, and up to 6 s for the next look at what is stale."""
SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
TOLD = "was ended by SIGKILL; starting it again"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleets.started(tmp_path_factory.mktemp("crash"), lease_s=LEASE_S) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(mortal_fleet: Fleet) -> Fleet:
    """This module's fleet, recovered from the test before."""
    await mortal_fleet.whole()
    await mortal_fleet.fresh()
    return mortal_fleet


async def submit(fleet: Fleet, *, seed: int) -> str:
    """Sixty page images, three batches: 64 calls."""
    job: str = (await fleet.api.images([pages.page_image(number, seed=seed) for number in range(1, 61)]))["job_id"]
    return job


async def calls_in_flight(fleet: Fleet, least: int, *, schema: str = "page_analysis") -> int:
    """How many there are, once there are so many."""

    async def in_flight() -> int:
        return sum(call.ended is None and call.schema == schema for call in fleet.model.calls)

    return await eventually(in_flight, until=lambda count: count >= least)


async def assert_complete(fleet: Fleet, job: str, *, calls: int, lost: int) -> None:
    """The job completes, each page once; the model was asked `calls` times, and again for what was `lost`."""
    status = await fleet.api.ended(job)
    assert (status["status"], status["gaps"]) == ("completed", [])
    assert status["pages"]["done"] == status["total_pages"]
    assert status["usage"]["calls"] == calls, "what was lost is not counted, what was found is counted once"
    document = await fleet.api.document(job)
    assert [page["page"] for page in document["pages"]] == list(range(1, status["total_pages"] + 1))
    assert {page["status"] for page in document["pages"]} == {"done"}
    assert calls <= len(fleet.model.calls) <= calls + lost


async def test_a_page_workers_pages_are_read_by_another(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=0.8))
    images = [pages.page_image(number, seed=11) for number in range(1, 61)]
    job = (await fleet.api.images(images))["job_id"]
    await calls_in_flight(fleet, 30)
    pid = next(iter(await fleet.hands(PageRequested)))
    victim = fleet.named(pid)
    os.kill(pid, signal.SIGSTOP)  # so that what it holds can be counted
    held = (await fleet.hands(PageRequested))[pid]
    assert held > 0
    await fleet.kill(pid)

    await assert_complete(fleet, job, calls=64, lost=held)
    document = await fleet.api.document(job)
    for page, image in zip(document["pages"], images, strict=True):
        assert pages.token(image) in page["text"]
    await fleet.whole()
    successor = fleet.processes()[victim.name]
    assert (successor.restarts, successor.pid != pid) == (victim.restarts + 1, True)
    assert f"{victim.name} {TOLD}" in fleet.said()


async def test_a_splitters_batch_is_rendered_by_another(fleet: Fleet) -> None:
    job = (await fleet.api.pdf(SAMPLE.read_bytes()))["job_id"]
    busy = await eventually(lambda: fleet.hands(BatchRequested))
    await fleet.kill(*busy)
    await assert_complete(fleet, job, calls=113 + 5 + 1, lost=0)


async def test_an_aggregators_summaries_are_made_by_the_next(fleet: Fleet) -> None:
    slowly = Rule(schema="batch_summary", latency_s=0.8)
    fleet.model.behave(Behaviour(rules=[Rule(schema="batch_summary", times=1), slowly]))
    job = await submit(fleet, seed=13)
    lost = await calls_in_flight(fleet, 2, schema="batch_summary")
    await fleet.kill(*fleet.pids("aggregator"))
    await assert_complete(fleet, job, calls=64, lost=lost)


async def test_a_gateway_and_a_keeper_are_missed_by_no_job(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=(0.5, 1)))
    job = await submit(fleet, seed=14)
    await calls_in_flight(fleet, 30)
    await fleet.kill(*fleet.pids("gateway"), *fleet.pids("keeper"))
    await fleet.whole()
    await assert_complete(fleet, job, calls=64, lost=0)


async def test_redis_comes_back_with_all_that_was_answered(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=(0.2, 1)))
    job = await submit(fleet, seed=15)
    in_flight = await calls_in_flight(fleet, 30)
    await fleet.kill(*fleet.pids("redis"))
    await fleet.whole()
    await assert_complete(fleet, job, calls=64, lost=in_flight)

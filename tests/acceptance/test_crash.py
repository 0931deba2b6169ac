"""Whoever is killed (SIGKILL) in mid work: every page ends once, and a crash costs at most the calls in flight."""

from __future__ import annotations

import os
import signal

import pytest

from shared.events import BatchRequested, PageRequested
from tests import pages
from tests.conftest import eventually
from tests.fleets import PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
TOLD = "was ended by SIGKILL; starting it again"
CALLS = 60 + 3 + 1
"""For sixty pages: theirs, one a batch, one for the document."""


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


async def test_a_page_workers_pages_are_read_by_another(mortal: Fleet) -> None:
    mortal.model.behave(Behaviour(latency_s=0.8))
    images = [pages.page_image(number, seed=11) for number in range(1, 61)]
    job = (await mortal.api.images(images))["job_id"]
    await calls_in_flight(mortal, 10)
    pid = next(iter(await mortal.hands(PageRequested)))
    victim = mortal.named(pid)
    os.kill(pid, signal.SIGSTOP)  # so that what it holds can be counted
    held = (await mortal.hands(PageRequested))[pid]
    assert held > 0
    await mortal.kill(pid)

    await assert_complete(mortal, job, calls=CALLS, lost=held)
    document = await mortal.api.document(job)
    for page, image in zip(document["pages"], images, strict=True):
        assert pages.token(image) in page["text"]
    await mortal.whole()
    successor = mortal.processes()[victim.name]
    assert (successor.restarts, successor.pid != pid) == (victim.restarts + 1, True)
    assert f"{victim.name} {TOLD}" in mortal.said()


@pytest.mark.slow
async def test_a_splitters_batch_is_rendered_by_another(mortal: Fleet) -> None:
    job = await mortal.api.pdf(SAMPLE.read_bytes())
    busy = await eventually(lambda: mortal.hands(BatchRequested))
    await mortal.kill(*busy)
    await assert_complete(mortal, job, calls=113 + 5 + 1, lost=0)


@pytest.mark.slow
async def test_an_aggregators_summaries_are_made_by_the_next(mortal: Fleet) -> None:
    slowly = Rule(schema="batch_summary", latency_s=0.8)
    mortal.model.behave(Behaviour(rules=[Rule(schema="batch_summary", times=1), slowly]))
    job = await mortal.api.pages(60, seed=13)
    lost = await calls_in_flight(mortal, 2, schema="batch_summary")
    await mortal.kill(*mortal.pids("aggregator"))
    await assert_complete(mortal, job, calls=CALLS, lost=lost)


@pytest.mark.slow
async def test_a_gateway_and_a_keeper_are_missed_by_no_job(mortal: Fleet) -> None:
    mortal.model.behave(Behaviour(latency_s=(0.5, 1)))
    job = await mortal.api.pages(60, seed=14)
    await calls_in_flight(mortal, 10)
    await mortal.kill(*mortal.pids("gateway"), *mortal.pids("keeper"))
    await mortal.whole()
    await assert_complete(mortal, job, calls=CALLS, lost=0)


async def test_redis_comes_back_with_all_that_was_answered(mortal: Fleet) -> None:
    mortal.model.behave(Behaviour(latency_s=(0.2, 1)))
    job = await mortal.api.pages(60, seed=15)
    in_flight = await calls_in_flight(mortal, 10)
    await mortal.kill(*mortal.pids("redis"))
    await mortal.whole()
    await assert_complete(mortal, job, calls=CALLS, lost=in_flight)

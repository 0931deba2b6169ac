"""SIGTERM drains: nothing more is read, what is in hand is finished or given back, exit 0, and no call is wasted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.events import BatchRequested, Fact, PageRequested
from tests import fleets, pages
from tests.conftest import eventually
from tests.fleets import PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRACE_S = 3
"""Above the calls of these tests, but for those that hang."""
PAGE_CONCURRENCY = 8
"""So that most pages of a job are still unread when a worker is told to stop."""
SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def draining_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Leases are as long as usual: what comes back within seconds was given back."""
    folder = tmp_path_factory.mktemp("shutdown")
    async with fleets.started(folder, grace_s=GRACE_S, page_concurrency=PAGE_CONCURRENCY) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(draining_fleet: Fleet) -> Fleet:
    """This module's fleet, with all of its processes."""
    await draining_fleet.whole()
    await draining_fleet.fresh()
    return draining_fleet


async def submit(fleet: Fleet, *, seed: int, count: int = 60) -> str:
    """Page images; sixty are three batches and 64 calls."""
    images = [pages.page_image(number, seed=seed) for number in range(1, count + 1)]
    job: str = (await fleet.api.images(images))["job_id"]
    return job


async def holder(fleet: Fleet, fact: type[Fact], *, least: int = 1) -> int:
    """The pid of a process that has so many entries in hand."""

    async def found() -> list[int]:
        return [pid for pid, held in (await fleet.hands(fact)).items() if held >= least]

    return (await eventually(found))[0]


async def drained(fleet: Fleet, pid: int, *, within_s: float) -> None:
    """SIGTERM; returns when the process has ended by itself, with exit code 0, and its successor was started."""
    before, told = fleet.named(pid), fleet.said()
    os.kill(pid, signal.SIGTERM)
    await fleet.without(pid, within_s=within_s)

    async def restarts() -> int:
        return fleet.processes()[before.name].restarts

    await eventually(restarts, until=lambda count: count > before.restarts)
    assert before.name not in fleet.said().removeprefix(told), "`up` tells of every other exit code"


async def assert_complete(fleet: Fleet, job: str, *, calls: int) -> None:
    """The job completes with so many calls and not one more."""
    status = await fleet.api.ended(job)
    assert (status["status"], status["gaps"], status["usage"]["calls"]) == ("completed", [], calls)
    assert len(fleet.model.calls) == calls
    document = await fleet.api.document(job)
    assert [page["page"] for page in document["pages"]] == list(range(1, status["total_pages"] + 1))


async def test_a_page_worker_finishes_what_it_has_in_hand_and_no_call_is_wasted(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=0.4))
    job = await submit(fleet, seed=21, count=90)
    pid = await holder(fleet, PageRequested, least=PAGE_CONCURRENCY - 1)
    await drained(fleet, pid, within_s=GRACE_S)
    assert (await fleet.api.status(job))["stage"] != "ended", "it left in mid work"
    await assert_complete(fleet, job, calls=90 + 4 + 1)
    assert not any(call.aborted for call in fleet.model.calls)


async def test_what_is_not_finished_within_the_grace_is_given_back_at_once(fleet: Fleet) -> None:
    first = Rule(times=1)  # before it is answered, no other call is made
    fleet.model.behave(Behaviour(rules=[first, Rule(does="hang", times=PAGE_CONCURRENCY)], latency_s=0.1))
    job = await submit(fleet, seed=22)

    async def hanging() -> bool:
        return sum(call.did == "hang" and call.ended is None for call in fleet.model.calls) == PAGE_CONCURRENCY

    await eventually(hanging)
    await asyncio.gather(*(drained(fleet, pid, within_s=GRACE_S + 3) for pid in fleet.pids("page_worker")))
    status = await fleet.api.ended(job, within_s=10)
    assert (status["status"], status["usage"]["calls"]) == ("completed", 64)
    assert sum(call.aborted for call in fleet.model.calls) == PAGE_CONCURRENCY


async def test_a_second_signal_ends_a_worker_at_once(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(does="hang")]))
    job = await submit(fleet, seed=23)
    pid = await holder(fleet, PageRequested)
    name = fleet.named(pid).name
    stops = stopping(fleet)
    os.kill(pid, signal.SIGTERM)

    async def one_more() -> bool:
        return stopping(fleet) > stops

    await eventually(one_more, within_s=2)
    os.kill(pid, signal.SIGTERM)
    await fleet.without(pid, within_s=1)
    assert f"{name} ended with exit code 1; starting it again" in fleet.said()
    await fleet.api.cancel(job)


def stopping(fleet: Fleet) -> int:
    """How many page workers have said that they are stopping."""
    return sum((line.service, line.action) == ("page_worker", "stop") for line in fleet.log())


async def test_a_splitter_finishes_its_batch(fleet: Fleet) -> None:
    job = (await fleet.api.pdf(SAMPLE.read_bytes()))["job_id"]
    pid = await holder(fleet, BatchRequested)
    await drained(fleet, pid, within_s=GRACE_S)
    await assert_complete(fleet, job, calls=113 + 5 + 1)


async def test_an_aggregator_finishes_its_summaries(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(schema="batch_summary", latency_s=1)]))
    job = await submit(fleet, seed=24)

    async def summarizing() -> bool:
        return any(call.schema == "batch_summary" for call in fleet.model.calls)

    await eventually(summarizing)
    (pid,) = fleet.pids("aggregator")
    await drained(fleet, pid, within_s=GRACE_S)
    await assert_complete(fleet, job, calls=64)

"""SIGTERM drains: nothing more is read, what is in hand is finished or given back, exit 0, and no call is wasted."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from shared.events import BatchRequested, DocSummarized, Fact, PageAnalyzed, PageRequested
from tests.conftest import eventually
from tests.fleets import MORTAL_GRACE_S, MORTAL_SLOTS, PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAINED_S = MORTAL_GRACE_S + 5
"""The grace, and what a busy machine adds. Work that did not fit the grace shows as calls that were made twice."""
SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"


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


def said(fleet: Fleet, action: str, *, by: str = "page_worker") -> int:
    """How often processes of a service have said this so far."""
    return sum((line.service, line.action) == (by, action) for line in fleet.log())


async def assert_complete(fleet: Fleet, job: str, *, calls: int) -> None:
    """The job completes with so many calls and not one more."""
    status = await fleet.api.ended(job)
    assert (status["status"], status["gaps"], status["usage"]["calls"]) == ("completed", [], calls)
    assert len(fleet.model.calls) == calls
    document = await fleet.api.document(job)
    assert [page["page"] for page in document["pages"]] == list(range(1, status["total_pages"] + 1))


async def test_a_page_worker_finishes_what_it_has_in_hand_and_no_call_is_wasted(mortal: Fleet) -> None:
    mortal.model.behave(Behaviour(latency_s=0.4))
    job = await mortal.api.pages(90, seed=21)
    pid = await holder(mortal, PageRequested, least=MORTAL_SLOTS)
    await drained(mortal, pid, within_s=DRAINED_S)
    assert (await mortal.api.status(job))["stage"] != "ended", "it left in mid work"
    await assert_complete(mortal, job, calls=90 + 4 + 1)
    assert not any(call.aborted for call in mortal.model.calls)


@pytest.mark.slow
async def test_what_is_not_finished_within_the_grace_is_given_back_at_once(mortal: Fleet) -> None:
    first = Rule(times=1)  # before it is answered, no other call is made
    mortal.model.behave(Behaviour(rules=[first, Rule(does="hang", times=MORTAL_SLOTS)], latency_s=0.1))
    job = await mortal.api.pages(60, seed=22)

    async def hanging() -> bool:
        return sum(call.did == "hang" and call.ended is None for call in mortal.model.calls) == MORTAL_SLOTS

    await eventually(hanging)
    reclaimed = said(mortal, "reclaimed")
    await asyncio.gather(*(drained(mortal, pid, within_s=MORTAL_GRACE_S + 3) for pid in mortal.pids("page_worker")))
    status = await mortal.api.ended(job, within_s=10)
    assert (status["status"], status["usage"]["calls"]) == ("completed", 64)
    assert sum(call.aborted for call in mortal.model.calls) == MORTAL_SLOTS
    assert len(mortal.model.calls) == 64 + MORTAL_SLOTS, "one call each, and not one more"
    assert said(mortal, "reclaimed") == reclaimed, "nobody had to wait for a lease to run out"


@pytest.mark.parametrize(
    ("service", "fact", "schema"),
    [
        ("page_worker", PageRequested, "page_analysis"),
        pytest.param("aggregator", PageAnalyzed, "batch_summary", marks=pytest.mark.slow),
        pytest.param("tts", DocSummarized, "speech", marks=pytest.mark.slow),
    ],
)
async def test_a_second_signal_ends_a_service_at_once(
    mortal: Fleet, service: str, fact: type[Fact], schema: str
) -> None:
    mortal.model.behave(Behaviour(rules=[Rule(schema=schema, does="hang")]))
    job = await mortal.api.pages(3, seed=23, narrate=True)

    async def hanging() -> bool:
        return any(call.did == "hang" for call in [*mortal.model.calls, *mortal.model.spoken])

    await eventually(hanging)
    pid = await holder(mortal, fact)
    name = mortal.named(pid).name
    stops = said(mortal, "stop", by=service)
    os.kill(pid, signal.SIGTERM)

    async def one_more() -> bool:
        return said(mortal, "stop", by=service) > stops

    await eventually(one_more, within_s=2)
    mortal.model.behave(Behaviour())
    os.kill(pid, signal.SIGTERM)
    await mortal.without(pid, within_s=1)

    async def told() -> bool:
        return f"{name} ended with exit code 1; starting it again" in mortal.said()

    await eventually(told, within_s=2)
    await mortal.api.cancel(job)


async def test_a_splitter_finishes_its_batch(mortal: Fleet) -> None:
    job = await mortal.api.pdf(SAMPLE.read_bytes())
    pid = await holder(mortal, BatchRequested)
    await drained(mortal, pid, within_s=DRAINED_S)
    await assert_complete(mortal, job, calls=113 + 5 + 1)


@pytest.mark.slow
async def test_an_aggregator_finishes_its_summaries(mortal: Fleet) -> None:
    mortal.model.behave(Behaviour(rules=[Rule(schema="batch_summary", latency_s=1)]))
    job = await mortal.api.pages(60, seed=24)

    async def summarizing() -> bool:
        return any(call.schema == "batch_summary" for call in mortal.model.calls)

    await eventually(summarizing)
    (pid,) = mortal.pids("aggregator")
    await drained(mortal, pid, within_s=DRAINED_S)
    await assert_complete(mortal, job, calls=64)

"""A cancel stops the spending: calls in flight are aborted, none starts any more, and what was read stays."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path

import pytest

from shared import keys
from shared.events import FACTS
from tests import fleets
from tests.conftest import eventually
from tests.fleets import PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

log = logging.getLogger(__name__)

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
READ = 20
"""Pages that are read before the model falls silent."""
PAGES = 100
"""More than are in flight at once, so that some have not been asked for yet."""


async def in_mid_work(fleet: Fleet, *, seed: int) -> str:
    """A job of which some pages are read, some are in flight, and some wait."""
    fleet.model.behave(Behaviour(rules=[Rule(times=READ), Rule(does="hang")]))
    job = await fleet.api.pages(PAGES, seed=seed)

    async def ready() -> bool:
        hanging = sum(call.ended is None for call in fleet.model.calls)
        return hanging >= 10 and (await fleet.api.status(job))["pages"]["done"] == READ

    await eventually(ready)
    return job


async def nothing_left(fleet: Fleet) -> None:
    """Return when no call is in flight, and none could start from anything that waits."""

    async def in_flight() -> int:
        return fleet.model.stats().in_flight

    async def left() -> int:
        lengths = [await fleet.redis.xlen(fact.stream) for fact in FACTS]
        waiting = [keys.PAGES_QUEUE, keys.BATCHES_QUEUE, *(keys.deferred(fact.stream) for fact in FACTS)]
        return sum(lengths) + sum([await fleet.redis.zcard(key) for key in waiting])

    await eventually(in_flight, within_s=3, until=lambda count: count == 0)
    await eventually(left, within_s=3, until=lambda count: count == 0)


async def test_a_cancel_aborts_what_is_in_flight_and_starts_nothing_more(fleet: Fleet) -> None:
    job = await in_mid_work(fleet, seed=41)
    answer = await fleet.api.cancel(job)
    answered_at = time.time()
    assert (answer["job_id"], answer["status"], answer["cancelled"]) == (job, "cancelled", True)
    assert answer["stopped"] == {"pages": PAGES - READ, "batches": 4}
    assert "80 pages will not be read" in answer["message"]

    await nothing_left(fleet)
    calls = fleet.model.calls
    hung = [call for call in calls if call.did == "hang"]
    assert all(call.aborted for call in hung)
    assert max(call.ended or 0 for call in hung) < answered_at + 2
    assert max(call.at for call in calls) < answered_at + 1
    assert len(calls) < PAGES


async def test_a_cancelled_job_keeps_what_was_read_and_says_so_again(fleet: Fleet) -> None:
    job = await in_mid_work(fleet, seed=42)
    await fleet.api.cancel(job)
    status = await fleet.api.status(job)
    assert (status["status"], status["stage"], status["pages"]["done"]) == ("cancelled", "ended", READ)
    assert status["progress"] < 100
    assert status["ended_at"]
    document = await fleet.api.document(job)
    told = [page["status"] for page in document["pages"]]
    assert (told.count("done"), told.count("cancelled")) == (READ, PAGES - READ)
    assert all("This is the page whose image" in page["text"] for page in document["pages"] if page["text"])

    again = await fleet.api.cancel(job)
    assert (again["status"], again["cancelled"], again["stopped"]) == ("cancelled", True, {"pages": 0, "batches": 0})
    assert await fleet.api.status(job) == status


async def test_a_job_that_had_ended_answers_a_cancel_with_its_real_status(fleet: Fleet) -> None:
    job = await fleet.api.pages(1, seed=43)
    await fleet.api.ended(job)
    answer = await fleet.api.cancel(job)
    assert (answer["status"], answer["cancelled"], answer["stopped"]) == (
        "completed",
        False,
        {"pages": 0, "batches": 0},
    )


async def test_a_job_that_nobody_knows_cannot_be_cancelled(fleet: Fleet) -> None:
    with pytest.raises(AssertionError, match="/errors/unknown-job"):
        await fleet.api.cancel(str(uuid.uuid4()))


async def test_a_cancel_while_pages_are_being_made_makes_no_more_of_them(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(does="hang")]))
    job = await fleet.api.pdf(SAMPLE.read_bytes())
    images = fleet.folder / "blobs" / "jobs" / "local" / job

    async def made() -> int:
        return sum(1 for _ in images.rglob("*.jpg"))

    await eventually(made)
    answer = await fleet.api.cancel(job)
    assert answer["cancelled"]
    await nothing_left(fleet)
    assert await made() < 113
    document = await fleet.api.document(job)
    assert {page["status"] for page in document["pages"]} == {"cancelled"}


@pytest.mark.parametrize("schema", ["batch_summary", "document_summary"])
async def test_a_cancel_while_summarising_aborts_the_summaries_and_keeps_the_pages(fleet: Fleet, schema: str) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(schema=schema, does="hang")]))
    job = await fleet.api.pages(5, seed=44)

    async def summaries() -> int:
        return sum(call.schema == schema and call.ended is None for call in fleet.model.calls)

    await eventually(summaries)
    answer = await fleet.api.cancel(job)
    answered_at = time.time()
    assert (answer["cancelled"], answer["stopped"]["pages"]) == (True, 0)
    await nothing_left(fleet)
    assert max(call.ended or 0 for call in fleet.model.calls) < answered_at + 2
    document = await fleet.api.document(job)
    assert (document["status"], document["summary"]) == ("cancelled", None)
    assert {page["status"] for page in document["pages"]} == {"done"}


@pytest.mark.slow
async def test_a_cancel_keeps_its_figures_with_two_workers_of_64_slots(tmp_path: Path) -> None:
    """Answered in 200 ms; no call begins a second after that; after two seconds none is in flight."""
    async with fleets.started(tmp_path, page_concurrency=64) as fleet:
        for seed in range(45, 48):
            await fleet.fresh()
            fleet.model.behave(Behaviour(rules=[Rule(times=1)], latency_s=5))
            job = await fleet.api.pages(400, seed=seed)

            async def in_flight() -> int:
                return fleet.model.stats().in_flight

            await eventually(in_flight, within_s=30, until=lambda calls: calls == 128)
            asked_at = time.time()
            await fleet.api.cancel(job)
            answered_at = time.time()
            await nothing_left(fleet)
            began = max(call.at for call in fleet.model.calls) - answered_at
            ended = max(call.ended or 0 for call in fleet.model.calls) - answered_at
            log.info("answered in %.3f s; last begun %.2f s, ended %.2f s later", answered_at - asked_at, began, ended)
            assert answered_at - asked_at < 0.2
            assert began < 1
            assert ended < 2

"""A cancel stops the spending: calls in flight are aborted, none starts any more, and what was read stays."""

from __future__ import annotations

import time
import uuid

import pytest

from shared import keys
from shared.events import FACTS
from tests.conftest import eventually
from tests.fleets import Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

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


async def test_a_cancel_aborts_what_is_in_flight_and_starts_nothing_more(fleet: Fleet) -> None:
    job = await in_mid_work(fleet, seed=41)
    answer = await fleet.api.cancel(job)
    answered_at = time.time()
    assert (answer["job_id"], answer["status"], answer["cancelled"]) == (job, "cancelled", True)
    assert answer["stopped"] == {"pages": PAGES - READ, "batches": 4}
    assert "80 pages will not be read" in answer["message"]

    async def in_flight() -> int:
        return fleet.model.stats().in_flight

    async def left() -> int:
        """Entries anywhere from which a call could start."""
        lengths = [await fleet.redis.xlen(fact.stream) for fact in FACTS]
        waiting = [keys.PAGES_QUEUE, keys.BATCHES_QUEUE, *(keys.deferred(fact.stream) for fact in FACTS)]
        return sum(lengths) + sum([await fleet.redis.zcard(key) for key in waiting])

    await eventually(in_flight, within_s=3, until=lambda count: count == 0)
    await eventually(left, within_s=3, until=lambda count: count == 0)
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

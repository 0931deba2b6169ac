"""A model that misbehaves costs the pages that it misbehaves on, and no other; an outage costs none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared import keys
from shared.events import PageRequested
from tests import pages
from tests.conftest import eventually
from tests.fleets import PAGE_MODEL, SLOTS, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_ATTEMPTS = 5
"""The default; the waits between five calls are 7.5 s in all on average, 15 s at most."""


def calls_for(fleet: Fleet, image: bytes) -> int:
    return fleet.model.stats().by_token[pages.token(image)]


async def test_pages_that_cannot_be_read_end_as_named_gaps_and_cost_no_other_page_anything(fleet: Fleet) -> None:
    fleet.model.behave(
        Behaviour(
            rules=[
                Rule(token="page-2-", does="wrong_shape"),
                Rule(token="page-4-", does="content_filter"),
                Rule(token="page-6-", does="repeats"),
            ]
        )
    )
    images = [pages.page_image(number, seed=51) for number in range(1, 8)]
    job = (await fleet.api.images(images))["job_id"]
    status = await fleet.api.ended(job)
    assert (status["status"], status["progress"]) == ("partial", 100)
    assert status["pages"] == {"done": 4, "failed": 3, "cached": 0, "blank": 0}
    assert status["reason"] == "3 pages could not be read"
    reasons = {gap["page"]: gap["reason"] for gap in status["gaps"]}
    assert list(reasons) == [2, 4, 6]
    assert reasons[2].startswith(f"given up after {MAX_ATTEMPTS} tries: ")
    assert "content filter" in reasons[4]
    assert "repeats itself" in reasons[6]
    # Garbage is asked for again up to the limit, a refusal is not, a loop is tried once more at a higher temperature.
    assert [calls_for(fleet, image) for image in images] == [1, MAX_ATTEMPTS, 1, 1, 1, 2, 1]

    report = await fleet.api.report(job)
    assert "3 pages could not be read" in report
    assert all(reason in report for reason in reasons.values())
    document = await fleet.api.document(job)
    assert document["gaps"] == status["gaps"]
    assert document["summary"] is not None
    failed = {page["page"]: page["reason"] for page in document["pages"] if page["status"] == "failed"}
    assert failed == reasons
    dead: Any = await fleet.redis.xrange(keys.dead(PageRequested.stream))
    assert {fields["page"] for _, fields in dead if fields["job"] == f"local/{job}"} == {"2", "4", "6"}


async def test_a_storm_of_429s_costs_no_page_and_no_attempt(fleet: Fleet) -> None:
    # The bucket of the stand-in holds one request, and what the fleet learns of it is only its refill.
    fleet.model.behave(Behaviour(rpm=900, burst_s=0.06))
    job = await fleet.api.pages(20, seed=52)
    status = await fleet.api.ended(job)
    assert (status["status"], status["pages"]["done"]) == ("completed", 20)
    refused = [call for call in fleet.model.calls if call.did == "limit_requests"]
    assert len(refused) >= 5, "it was a storm"
    assert set(fleet.model.stats().answered_by_token.values()) == {1}
    assert status["usage"]["calls"] == 20 + 1 + 1
    judged = [line for line in fleet.log() if line.job == f"local/{job}" and line.action in ("defer", "fail")]
    assert judged
    assert {line.attempts for line in judged} == {0}


async def test_an_outage_of_the_model_pauses_the_fleet_and_costs_no_page(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(times=5), Rule(does="error", status=503)]))
    job = await fleet.api.pages(40, seed=53)

    async def model() -> str:
        answer: str = (await fleet.api.health())["dependencies"]["model"]
        return answer

    await eventually(model, until=lambda state: state == "down")
    made = len(fleet.model.calls)
    assert made <= 5 + 2 * SLOTS + 2, "it is not stormed while it is down"
    fleet.model.behave(Behaviour())
    answer = await fleet.api.ended(job)
    assert (answer["status"], answer["gaps"]) == ("completed", [])


async def test_a_refused_key_pauses_the_fleet_which_says_so_and_goes_on_by_itself(fleet: Fleet) -> None:
    unauthorised = Rule(does="error", status=401)
    fleet.model.behave(Behaviour(rules=[Rule(times=3), unauthorised]))
    job = await fleet.api.pages(10, seed=54)

    async def health() -> dict[str, Any]:
        return await fleet.api.health()

    told = await eventually(health, until=lambda answer: bool(answer["dependencies"]["model"] == "stopped"))
    assert told["status"] == "degraded"
    (problem,) = told["problems"]
    assert problem.startswith(f"The model {PAGE_MODEL} is stopped: ")
    assert "check OPENAI_API_KEY" in problem
    status = await fleet.api.status(job)
    assert (status["stage"], status["gaps"]) == ("reading", [])

    fleet.model.behave(msgspec.structs.replace(fleet.model.behaviour, rules=[]))
    status = await fleet.api.ended(job)
    assert (status["status"], status["pages"]["done"], status["gaps"]) == ("completed", 10, [])
    refused = [call for call in fleet.model.calls if call.did == "error_401"]
    assert len(refused) <= 7, "no page is tried twice while the key is refused"
    assert (await fleet.api.health())["dependencies"]["model"] == "up"

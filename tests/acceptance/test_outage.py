"""An outage of the model is not the documents' fault: the fleet pauses, one call at a time probes, and no gap is made.

The outages here last some seconds. `OUTAGE_S=600` makes them last ten minutes:
`OUTAGE_S=600 make test-full ARGS="-k ten_minutes"`; `--log-cli-level=INFO` shows the figures.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from shared import keys
from shared.events import FACTS
from tests import fleets
from tests.conftest import eventually
from tests.fleets import Fleet
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.calls import Call

log = logging.getLogger(__name__)

OUTAGE_S = float(os.environ.get("OUTAGE_S", "5"))
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(OUTAGE_S + 180)]

SLOTS = 8
WORKERS = 2
TIME_OUT_S = 2
LONGEST_STEP_S = 15
CALL_S = 0.3

KINDS = {
    "5xx": Rule(does="error", status=503),
    "time-outs": Rule(does="hang"),
    "401": Rule(does="error", status=401),
    "resets": Rule(does="reset"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Whoever counts failures of an outage gives a page up at once: the third that counts ends it."""
    folder = tmp_path_factory.mktemp("outage")
    attempts = 3 if OUTAGE_S < 300 else 5  # a page that is alone in the fleet has one counted every ten minutes
    settings = {
        "llm_timeout_s": TIME_OUT_S,
        "tts_timeout_s": TIME_OUT_S,
        "tts_model": "tongue",
        "max_attempts": attempts,
    }
    async with fleets.started(folder, page_concurrency=SLOTS, **settings) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(module_fleet: Fleet) -> Fleet:
    await module_fleet.fresh()
    await module_fleet.redis.delete(keys.limiter("tongue"))
    return module_fleet


async def outage(fleet: Fleet, rule: Rule, *, latency_s: float = CALL_S) -> list[Call]:
    """The model is gone for OUTAGE_S. Answers the calls that began meanwhile, and says how many."""
    fleet.model.behave(Behaviour(latency_s=latency_s, rules=[rule]))
    began = time.time()
    await asyncio.sleep(OUTAGE_S)  # nothing to wait for: that nothing happens is what is tested
    fleet.model.behave(Behaviour(latency_s=CALL_S))
    calls = [call for call in [*fleet.model.calls, *fleet.model.spoken] if call.at > began]
    log.info("%s %d: %d calls in %g s", rule.does, rule.status, len(calls), OUTAGE_S)
    return calls


def probes_in(seconds: float) -> int:
    """At most so many: 1, 3, 7, 15 s after the first, then every 15 s."""
    return math.ceil(math.log2(min(seconds, LONGEST_STEP_S) + 1)) + math.ceil(seconds / LONGEST_STEP_S)


def assert_probes_alone(calls: list[Call], *, after_s: float) -> None:
    """From some seconds into the outage on, no call begins before the one before it has ended."""
    late = sorted((call for call in calls if call.at > calls[0].at + after_s), key=lambda call: call.at)
    for earlier, later in pairwise(late):
        assert earlier.ended is not None
        assert earlier.ended <= later.at + 0.05


async def all_at_work(fleet: Fleet, *, slots: int) -> float:
    """Seconds until so many calls are in flight."""
    began = time.monotonic()

    async def in_flight() -> int:
        return fleet.model.stats().in_flight

    await eventually(in_flight, within_s=2 * LONGEST_STEP_S, until=lambda calls: calls >= slots)
    took = time.monotonic() - began
    log.info("all %d slots work again after %.1f s", slots, took)
    return took


async def assert_whole(fleet: Fleet, *jobs: str) -> None:
    """All complete, without a gap, and nothing of them was given up."""
    for job in jobs:
        status = await fleet.api.ended(job, within_s=90)
        assert (status["status"], status["gaps"], status["paused"]) == ("completed", [], None)
        assert status["pages"]["done"] == status["total_pages"]
    dead: list[Any] = [entry for fact in FACTS for entry in await fleet.redis.xrange(keys.dead(fact.stream))]
    assert [fields for _, fields in dead if fields["job"].partition("/")[2] in jobs] == []


async def in_mid_reading(fleet: Fleet, *, seed: int) -> list[str]:
    """Two documents, of which some pages are read and all slots are at work."""
    fleet.model.behave(Behaviour(latency_s=CALL_S))
    jobs = [await fleet.api.pages(40, seed=seed + n) for n in range(2)]

    async def done() -> int:
        return sum([(await fleet.api.status(job))["pages"]["done"] for job in jobs])

    await eventually(done, until=lambda pages: pages > 20)
    return jobs


@pytest.mark.parametrize(
    "kind", ["5xx", *(pytest.param(k, marks=pytest.mark.slow) for k in ("time-outs", "401", "resets"))]
)
async def test_an_outage_while_reading_pauses_the_fleet_and_makes_no_gap_in_ten_minutes(
    fleet: Fleet, kind: str
) -> None:
    jobs = await in_mid_reading(fleet, seed=81)
    calls = await outage(fleet, KINDS[kind])
    # Each slot had one call when it began; a failure that is counted is tried once more before the others are known.
    assert len(calls) <= 2 * WORKERS * SLOTS + probes_in(OUTAGE_S)
    assert_probes_alone(calls, after_s=2 * TIME_OUT_S + 1)
    for job in jobs:
        status = await fleet.api.status(job)
        assert status["paused"], "every open job says why it waits"
        assert status["gaps"] == []
    took = await all_at_work(fleet, slots=WORKERS * SLOTS)
    assert took <= LONGEST_STEP_S + TIME_OUT_S + 3
    await assert_whole(fleet, *jobs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_an_outage_at_the_very_first_call_makes_no_gap_in_ten_minutes(fleet: Fleet, kind: str) -> None:
    fleet.model.behave(Behaviour(rules=[KINDS[kind]]))
    job = await fleet.api.pages(3, seed=91)
    calls = await outage(fleet, KINDS[kind])
    # An idle worker reads with a permit in hand: these were given before the fleet was made to forget its model.
    assert len(calls) <= WORKERS + 1 + probes_in(OUTAGE_S)
    assert_probes_alone(calls, after_s=0.5)
    await assert_whole(fleet, job)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schema", ["batch_summary", "document_summary"])
async def test_an_outage_while_summarising_makes_no_document_partial_in_ten_minutes(
    fleet: Fleet, schema: str, kind: str
) -> None:
    # Had it been one for some summaries only, the others' answers would say that the failed ones are to blame.
    rule = Rule(schema=schema, does=KINDS[kind].does, status=KINDS[kind].status)
    fleet.model.behave(Behaviour(rules=[rule]))
    jobs = [await fleet.api.pages(60, seed=95)]

    async def asked() -> bool:
        return any(call.schema == schema for call in fleet.model.calls)

    await eventually(asked)
    calls = [call for call in await outage(fleet, rule) if call.schema == schema]
    assert len(calls) <= 10 + probes_in(OUTAGE_S)
    await assert_whole(fleet, *jobs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_an_outage_while_speaking_costs_no_narration_in_ten_minutes(fleet: Fleet, kind: str) -> None:
    rule = Rule(schema="speech", does=KINDS[kind].does, status=KINDS[kind].status)
    fleet.model.behave(Behaviour(rules=[rule]))
    job = await fleet.api.pages(2, seed=97, narrate=True)

    async def spoken() -> int:
        return len(fleet.model.spoken)

    await eventually(spoken)
    calls = [call for call in await outage(fleet, rule) if call.schema == "speech"]
    assert len(calls) <= 10 + probes_in(OUTAGE_S)
    status = await fleet.api.status(job)
    assert (status["status"], status["audio"]) == ("completed", "speaking")
    assert "tongue" in status["paused"]

    async def audio() -> str:
        told: str = (await fleet.api.status(job))["audio"]
        return told

    await eventually(audio, within_s=60, until=lambda told: told in ("ready", "failed"))
    assert await audio() == "ready"


@pytest.mark.slow
async def test_a_worker_that_dies_with_the_probe_in_hand_holds_nobody_up(mortal: Fleet) -> None:
    """Its call may take two minutes; its silence is noticed after five seconds."""
    mortal.model.behave(Behaviour(rules=[Rule(does="hang", times=1)], latency_s=CALL_S))
    job = await mortal.api.pages(20, seed=99)

    async def calls() -> int:
        return len(mortal.model.calls)

    await eventually(calls)
    assert await calls() == 1, "nobody else asks before the first answer"
    await mortal.kill(*mortal.pids("page_worker"))
    killed_at = time.time()
    await eventually(calls, within_s=30, until=lambda count: count > 1)
    assert mortal.model.calls[1].at - killed_at < 7
    await mortal.whole()
    await assert_whole(mortal, job)

"""A page that kills its worker is buried after three crashes and takes no other page with it; neither an outage of
Redis nor any number of rolling deploys buries a page.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from shared import fleet as signs
from shared import keys
from shared.events import PageRequested
from shared.suspects import BURIED_AFTER, TOGETHER
from tests import fleets, pages
from tests.conftest import eventually
from tests.faults import fleet as faulty
from tests.faults.fleet import Fleet, Server
from tests.faults.traps import Trap
from tests.faults.verdict import Asked
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASE_S = 2
SLOTS = 64
"""Of each page worker: what one of them holds when it is killed."""
COUNTS = {"gateway": 1, "splitter": 1, "page_worker": BURIED_AFTER + 1, "aggregator": 1, "keeper": 1}
"""One page worker is left when the others have died. Those stay dead: whoever has just been started does not count the
crashes of others yet, and with so short a lease it would be there before their entries are stale."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Fleet, Server]]:
    """A fleet, and its Redis."""
    folder = tmp_path_factory.mktemp("poisoned")
    async with faulty.started(folder, counts=COUNTS, lease_s=LEASE_S, grace_s=10, page_concurrency=SLOTS) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(running: tuple[Fleet, Server]) -> AsyncIterator[Fleet]:
    """The fleet, recovered from the test before, and after the test with the page workers that it had."""
    fleet, names = running[0], {f"page_worker-{number}" for number in range(1, COUNTS["page_worker"] + 1)}
    await fleet.fresh(Behaviour())
    await fleet.redis.delete(keys.DEATHS)  # where others died lately without it, a page is tried more often
    yield fleet
    fleet.traps.clear()
    bury(fleet)
    workers = {child.name for child in fleet.of("page_worker")}
    for name in names - workers:
        fleet.start(name)
    await asyncio.gather(*(fleet.end(name, within_s=fleets.ENDING_S) for name in workers - names))


def bury(fleet: Fleet) -> None:
    """The dead page workers are no part of the fleet any more; those who live are started again when they end."""
    for child in fleet.of("page_worker"):
        if child.pid or child.kept:
            child.kept = True
        else:
            del fleet.children[child.name]


async def quire_dead(fleet: Fleet, *arguments: str) -> Any:
    """What `./quire dead …` says about this fleet, with --json."""
    port = fleet.redis.connection_pool.connection_kwargs["port"]
    process = await asyncio.create_subprocess_exec(
        *fleets.command("dead", *arguments, "--json", "--redis-url", f"redis://127.0.0.1:{port}/0"),
        cwd=fleets.PROJECT,
        env=fleets.environment(fleet.folder),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return msgspec.json.decode(said)


async def named(fleet: Fleet, pid: int) -> str:
    """The consumer's name of the worker that has this pid."""

    async def workers() -> list[str]:
        return [name for name, sign in (await signs.living(fleet.redis)).items() if sign.pid == pid]

    return (await eventually(workers))[0]


async def held_by(fleet: Fleet, worker: str) -> int:
    """Pages in this worker's hands, dead or alive."""
    consumers = await fleet.redis.xinfo_consumers(PageRequested.stream, PageRequested.group)
    return sum(consumer["pending"] for consumer in consumers if consumer["name"] == worker)


async def poisoned(fleet: Fleet, count: int, *, seed: int, latency_s: float, within_s: float) -> tuple[Asked, int]:
    """A document of so many pages, one of which kills whoever is about to read it, ends `partial`: that page is buried,
    and every other page is read. Answers it, and how many pages the first who died had in hand.
    """
    await fleet.ended(await fleet.submit([pages.page_image(1, seed=seed + 1000)], narrate=False))
    fleet.model.forget()  # it has been tried: nobody waits for a probe's answer
    fleet.model.behave(Behaviour(latency_s=latency_s))
    for child in fleet.of("page_worker"):
        child.kept = False
    images = [pages.page_image(number, seed=seed, size_kb=10) for number in range(1, count + 1)]
    number = count // 2
    token = pages.token(images[number - 1])
    # The worker dies when it has taken others too, and before the first of their calls is answered.
    trap = Trap(
        service="page_worker", point="image_in_hand", action="kill", match=token, delay_s=0.75 * latency_s, always=True
    )
    fleet.traps.set(trap)
    asked = await fleet.submit(images, batch_size=25, narrate=False)
    first = await fleet.caught(trap)
    worker = await named(fleet, first.pid)

    async def living() -> set[int]:
        return {child.pid for child in fleet.of("page_worker")}

    await eventually(living, until=lambda pids: first.pid not in pids)
    held = await held_by(fleet, worker)

    status = await fleet.ended(asked, within_s=within_s)
    bury(fleet)
    reason = f"{BURIED_AFTER} workers died with it in hand"
    assert (status["status"], status["gaps"]) == ("partial", [{"page": number, "reason": reason}])
    assert len({death.pid for death in fleet.traps.caught()}) == BURIED_AFTER
    fleet.traps.clear()

    calls = Counter(call.token for call in fleet.model.calls if call.schema == "page_analysis")
    assert calls.pop(token, 0) == 0
    assert set(calls) == {pages.token(image) for image in images} - {token}
    again = calls.total() - len(calls)
    print(f"{held} pages were in the same hands; {again} calls were made again")  # noqa: T201 - the figure
    # The first death costs what was in the same hands, the second a group of suspects, the third nothing but itself.
    assert again <= (held - 1) + (TOGETHER - 1)
    assert max(calls.values()) <= 3
    asked = msgspec.structs.replace(asked, gaps=frozenset({number}))
    await fleet.judged(asked, extra=again, extra_each=2)
    return asked, held


async def test_a_page_that_kills_its_workers_is_buried_and_read_when_they_are_mended(fleet: Fleet) -> None:
    asked, _ = await poisoned(fleet, 20, seed=71, latency_s=0.8, within_s=40)
    (page,) = asked.gaps
    (letter,) = (await quire_dead(fleet, "list", PageRequested.stream))["letters"]
    assert (letter["job"], letter["page"]) == (asked.ref, page)
    assert letter["reason"] == f"{BURIED_AFTER} workers died with it in hand"
    assert await quire_dead(fleet, "show", PageRequested.stream, letter["id"]) == letter
    assert (await quire_dead(fleet, "replay", PageRequested.stream, letter["id"]))["replayed"] == 1
    status = await fleet.ended(asked)
    assert (status["status"], status["gaps"]) == ("completed", [])
    assert await fleet.redis.xlen(keys.dead(PageRequested.stream)) == 0


@pytest.mark.slow
async def test_the_sixty_three_other_pages_in_the_same_hands_are_untouched(fleet: Fleet) -> None:
    asked, held = await poisoned(fleet, SLOTS * COUNTS["page_worker"], seed=72, latency_s=4, within_s=100)
    assert held == SLOTS
    (letter,) = (await quire_dead(fleet, "list"))["letters"]
    assert await quire_dead(fleet, "drop", PageRequested.stream, letter["id"]) == {"dropped": 1}
    assert await quire_dead(fleet, "list") == {"letters": []}
    assert (await fleet.api.status(asked.id))["status"] == "partial", "its gap stays as it is"


async def in_flight(fleet: Fleet, count: int) -> None:
    """Return when so many calls are under way."""

    async def calls() -> int:
        return sum(call.ended is None for call in fleet.model.calls)

    await eventually(calls, within_s=30, until=lambda found: found >= count)


async def deployed(fleet: Fleet, name: str) -> None:
    """Start a page worker with a short grace; returns when it gives signs of life."""
    child = fleet.start(name, grace_s=0.5)

    async def pid() -> int:
        return child.pid

    await named(fleet, await eventually(pid))


@pytest.mark.slow
async def test_no_number_of_rolling_deploys_buries_a_page(fleet: Fleet) -> None:
    """A page whose call takes longer than the grace of ten workers, one after the other."""
    deploys = 10
    images = [pages.page_image(number, seed=73) for number in range(1, 5)]
    long_page = pages.token(images[0])
    fleet.model.behave(Behaviour(rules=[Rule(token=long_page, does="hang", times_each=deploys)]))
    before = fleet.of("page_worker")
    await deployed(fleet, "page_worker-deploy-0")
    await asyncio.gather(*(fleet.end(child.name, within_s=fleets.ENDING_S) for child in before))
    asked = await fleet.submit(images, narrate=False)
    for deploy in range(1, deploys + 1):
        await in_flight(fleet, 1)
        await deployed(fleet, f"page_worker-deploy-{deploy}")
        assert await fleet.end(f"page_worker-deploy-{deploy - 1}", within_s=fleets.ENDING_S) == 0
        assert await fleet.redis.hgetall(keys.crashes(asked.ref)) == {}
    status = await fleet.ended(asked)
    assert (status["status"], status["gaps"]) == ("completed", [])
    await fleet.judged(asked, extra=0)
    calls = Counter(call.token for call in fleet.model.calls if call.token)
    assert calls == {pages.token(image): deploys + 1 if image is images[0] else 1 for image in images}


@pytest.mark.slow
async def test_no_number_of_outages_of_redis_buries_a_page(running: tuple[Fleet, Server], fleet: Fleet) -> None:
    """Each lasts longer than a lease: every worker loses what it has in hand, and nobody's sign of life is left."""
    store, outages = running[1], BURIED_AFTER + 1
    fleet.model.behave(Behaviour(latency_s=3))
    images = [pages.page_image(number, seed=74) for number in range(1, 25)]
    lives = {child.name: child.codes[:] for child in fleet.children.values()}
    asked = await fleet.submit(images, narrate=False)
    for _ in range(outages):
        await in_flight(fleet, 1)
        store.kill()
        await asyncio.sleep(1.25 * LEASE_S)
        store.start()
        assert await fleet.redis.hgetall(keys.crashes(asked.ref)) == {}
    status = await fleet.ended(asked, within_s=60)
    assert (status["status"], status["gaps"]) == ("completed", [])
    assert {child.name: child.codes for child in fleet.children.values()} == lives, "nobody died of it"
    await fleet.judged(asked, extra=outages * len(images), extra_each=outages)

"""What is measured while something goes wrong: killed processes, a killed Redis, a cancel, a takeover."""

from __future__ import annotations

import asyncio
import tempfile
import time
from itertools import count
from pathlib import Path
from statistics import median

import aiohttp
from redis.asyncio import Redis

from benchmarks import documents, job, victims
from benchmarks.common import on_standin, shown
from benchmarks.errors import BenchmarkError
from benchmarks.meter import metering
from benchmarks.ownredis import OwnRedis, own_redis
from benchmarks.parameters import (
    CANCEL_LATENCY_S,
    CANCEL_WATCHED_S,
    FAULT_CONCURRENCY,
    FAULT_PAGES,
    KILL_EVERY_S,
    KILLS_LATENCY_S,
    LATER_LOOK_S,
    PAGE_WORKERS,
    REDIS_AWAY_S,
    REDIS_DOCUMENT_PAGES,
    REDIS_DOCUMENTS,
    REDIS_KILLS_S,
    REDIS_SUBMIT_EVERY_S,
    RUN_LIMIT_S,
    SEED,
    SMALL_IMAGE_KB,
    TAKEOVER_LEASE_S,
)
from benchmarks.runs import Run, Scenario
from benchmarks.victims import Killed
from tests.standin.calls import Call
from tests.standin.process import Remote

_JSON = "application/json"
_UNSPOKEN = "/process-large-document?narrate=false"
_SEEDS = count(SEED)
_ENOUGH_IN_FLIGHT = FAULT_CONCURRENCY * PAGE_WORKERS * 3 // 4


async def _kills(workshop: Path) -> Run:
    body = documents.images_of(workshop, FAULT_PAGES, seed=1, size_kb=SMALL_IMAGE_KB)
    killed: list[Killed] = []
    over = asyncio.Event()
    async with (
        on_standin(workshop, slots=FAULT_CONCURRENCY, latency_s=KILLS_LATENCY_S) as (fleet, model),
        aiohttp.ClientSession(fleet.api_url) as session,
        metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter,
    ):
        sent = await job.submit(session, _UNSPOKEN, body=body, content_type=_JSON)
        killing = asyncio.create_task(victims.keep_killing(fleet, killed, seed=next(_SEEDS), over=over), name="killing")
        try:
            status = await job.ended(session, sent.job_id)
        finally:
            over.set()
            await killing
        assert status.ended_at is not None
        calls = _page_calls(await model.calls())
        held = sum(len(its.pages) for its in killed)
        _check_bound(len(calls), FAULT_PAGES, held)
        figures = {
            "submit to its end, s": status.ended_at.timestamp() - sent.began,
            "pages that were not read": FAULT_PAGES - status.pages.done,
            "processes killed": len(killed),
            "of them page workers": sum(its.service == "page_worker" for its in killed),
            "pages in their hands": held,
            "calls for pages": len(calls),
            "calls beyond one a page": len(calls) - FAULT_PAGES,
            "calls that were cut off": sum(call.aborted for call in calls),
        }
        return await shown(figures, fleet, meter, FAULT_PAGES)


async def _redis_kills(workshop: Path) -> Run:
    pages, seeds = REDIS_DOCUMENT_PAGES, range(10, 10 + REDIS_DOCUMENTS)
    bodies = [documents.images_of(workshop, pages, seed=seed, size_kb=SMALL_IMAGE_KB) for seed in seeds]
    in_flight: list[int] = []
    with tempfile.TemporaryDirectory(prefix="redis-", dir=workshop) as name:
        async with (
            own_redis(Path(name)) as server,
            on_standin(workshop, slots=FAULT_CONCURRENCY, REDIS_URL=server.url) as (fleet, model),
            aiohttp.ClientSession(fleet.api_url) as session,
            metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter,
        ):
            began = time.time()
            killing = asyncio.create_task(_kill_redis(server, model, in_flight), name="killing")
            try:
                accepted, refused = await _submit_all(session, bodies)
                ends = [await job.completed_at(session, job_id, pages=pages) for job_id in accepted]
            finally:
                await killing
            calls = _page_calls(await model.calls())
            _check_bound(len(calls), pages * len(accepted), sum(in_flight))
            figures = {
                "first submission to last completed, s": max(ends) - began,
                "documents answered 202": len(accepted),
                "of them completed": len(ends),
                "submissions refused or cut off": refused,
                "calls in flight at the kills": sum(in_flight),
                "calls for pages": len(calls),
                "calls beyond one a page": len(calls) - pages * len(accepted),
            }
            return await shown(figures, fleet, meter, pages * len(accepted))


async def _kill_redis(server: OwnRedis, model: Remote, in_flight: list[int]) -> None:
    began = time.monotonic()
    for at in REDIS_KILLS_S:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        await server.kill()
        in_flight.append((await model.stats()).in_flight)
        await asyncio.sleep(REDIS_AWAY_S)
        await server.start()


async def _submit_all(session: aiohttp.ClientSession, bodies: list[Path]) -> tuple[list[str], int]:
    """The ids of the documents that were accepted, and how many submissions were not answered so."""
    accepted, refused = [], 0
    for body in bodies:
        while True:
            try:
                accepted.append((await job.submit(session, _UNSPOKEN, body=body, content_type=_JSON)).job_id)
            except (job.Refused, aiohttp.ClientError):
                refused += 1
                await asyncio.sleep(LATER_LOOK_S)
            else:
                break
        await asyncio.sleep(REDIS_SUBMIT_EVERY_S)
    return accepted, refused


async def _cancel(workshop: Path) -> Run:
    body = documents.images_of(workshop, FAULT_PAGES, seed=1, size_kb=SMALL_IMAGE_KB)
    async with (
        on_standin(workshop, slots=FAULT_CONCURRENCY, latency_s=CANCEL_LATENCY_S) as (fleet, model),
        aiohttp.ClientSession(fleet.api_url) as session,
        metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter,
    ):
        sent = await job.submit(session, _UNSPOKEN, body=body, content_type=_JSON)
        in_flight = await _busy(model)
        asked = time.time()
        async with session.post(f"/cancel-job/{sent.job_id}", raise_for_status=True) as response:
            await response.read()
        acknowledged = time.time()
        await asyncio.sleep(CANCEL_WATCHED_S)
        calls = await model.calls()
        last_end = max(call.ended or time.time() for call in calls)
        figures = {
            "asked to acknowledged, ms": 1000 * (acknowledged - asked),
            "calls in flight then": in_flight,
            "acknowledged to the last call's start, s": max(0.0, max(call.at for call in calls) - acknowledged),
            "acknowledged to the last call's end, s": max(0.0, last_end - acknowledged),
            "calls still in flight after that": sum(call.ended is None for call in calls),
        }
        return await shown(figures, fleet, meter, FAULT_PAGES)


async def _takeover(workshop: Path) -> Run:
    body = documents.images_of(workshop, FAULT_PAGES, seed=1, size_kb=SMALL_IMAGE_KB)
    async with (
        on_standin(workshop, slots=FAULT_CONCURRENCY, LEASE_S=str(TAKEOVER_LEASE_S)) as (fleet, model),
        aiohttp.ClientSession(fleet.api_url) as session,
        Redis.from_url(fleet.redis_url, decode_responses=True) as redis,
        metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter,
    ):
        sent = await job.submit(session, _UNSPOKEN, body=body, content_type=_JSON)
        await _busy(model)
        running = fleet.folder.running()
        assert running is not None
        pid = next(its.pid for its in running.processes if its.service == "page_worker")
        at = time.time()
        killed = await victims.kill(fleet, redis, pid, "page_worker")
        completed = await job.completed_at(session, sent.job_id, pages=FAULT_PAGES)
        calls = _page_calls(await model.calls())
        _check_bound(len(calls), FAULT_PAGES, len(killed.pages))
        again = sorted(_asked(calls, page) - at for page in killed.pages)
        if not again:
            raise BenchmarkError("The worker that was killed had no page in hand: there was nothing to take over.")
        figures = {
            "pages in the dead worker's hands": len(again),
            "kill to the first of them asked again, s": again[0],
            "kill to the median of them, s": median(again),
            "kill to the last of them, s": again[-1],
            "calls beyond one a page": len(calls) - FAULT_PAGES,
            "submit to completed, s": completed - sent.began,
        }
        return await shown(figures, fleet, meter, FAULT_PAGES)


async def _busy(model: Remote) -> int:
    """Calls in flight, once there are enough of them."""
    async with asyncio.timeout(RUN_LIMIT_S):
        while True:
            in_flight = (await model.stats()).in_flight
            if in_flight >= _ENOUGH_IN_FLIGHT:
                return in_flight
            await asyncio.sleep(LATER_LOOK_S)


def _page_calls(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.schema == "page_analysis"]


def _asked(calls: list[Call], page: int) -> float:
    """When this page was asked for the last time."""
    return max(call.at for call in calls if call.token.startswith(f"page-{page}-"))


def _check_bound(calls: int, pages: int, lost: int) -> None:
    """The promise that the figures rest on: a crash costs at most the calls that were in flight."""
    if not pages <= calls <= pages + lost:
        raise BenchmarkError(f"{pages} pages and {lost} lost calls should have cost as many, and it came to {calls}.")


FAULTS = (
    Scenario(
        name="kills",
        title=f"kills: {FAULT_PAGES} page images, a process at random killed every {KILL_EVERY_S:g} s "
        f"({', '.join(victims.SERVICES)}), a model that takes {KILLS_LATENCY_S:g} s, {PAGE_WORKERS} page workers of "
        f"{FAULT_CONCURRENCY} slots",
        lengths=(_kills,),
    ),
    Scenario(
        name="redis-kills",
        title=f"redis-kills: {REDIS_DOCUMENTS} documents of {REDIS_DOCUMENT_PAGES} page images, one every "
        f"{REDIS_SUBMIT_EVERY_S:g} s; Redis killed after {' and '.join(f'{at:g}' for at in REDIS_KILLS_S)} s, "
        f"back {REDIS_AWAY_S:g} s later",
        lengths=(_redis_kills,),
    ),
    Scenario(
        name="cancel",
        title=f"cancel: {FAULT_PAGES} page images, a model that takes {CANCEL_LATENCY_S:g} s",
        lengths=(_cancel,),
    ),
    Scenario(
        name="takeover",
        title=f"takeover: a page worker killed in mid work, leases of {TAKEOVER_LEASE_S} s",
        lengths=(_takeover,),
    ),
)

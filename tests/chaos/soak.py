"""One run: a fleet, load and faults together, then quiet, then the judgement."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import bus
from shared.jobs import Jobs
from shared.records import Job
from tests.chaos import fleet as fleets
from tests.chaos import judgement, load, schedule, store
from tests.chaos.faults import Faults
from tests.chaos.fleet import Fleet
from tests.chaos.load import Document, Load
from tests.chaos.observer import Observer, memory_mb
from tests.chaos.report import Run
from tests.chaos.scale import LATENCY_S, PAGE_MODEL, SUMMARY_MODEL, Scale
from tests.faults.verdict import leftovers
from tests.standin import process
from tests.standin.behaviour import Behaviour
from tests.standin.calls import Call

log = logging.getLogger(__name__)

PREVIOUS = "5159bbe"
"""The release before this one."""
ROUNDS = 5
"""Of dead letters that are replayed: what failed in a storm must succeed without one."""
EMPTY_S = 60


async def soak(
    scale: Scale,
    *,
    seed: int,
    seconds: int,
    command: str,
    keep: Path | None,
    lifetimes: bool,
    kinds: Sequence[schedule.Kind],
) -> Run:
    """Run it. `keep`: a folder for logs and data, else they go; `lifetimes`: whether ended jobs' keys must have one."""
    async with AsyncExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quire-chaos-")))
        server = await stack.enter_async_context(store.running(folder / "redis"))
        model = await stack.enter_async_context(process.start(Behaviour(latency_s=LATENCY_S)))
        redis = await stack.enter_async_context(bus.connect(server.url))
        previous = await stack.enter_async_context(fleets.previous_release(PREVIOUS))
        fleet = await stack.enter_async_context(
            fleets.running(scale, folder, redis_port=server.port, model_url=model.url, seed=seed)
        )
        info: Any = await redis.info()
        name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
        run = Run(seed=seed, seconds=seconds, command=command, server=name)
        clients = Load(fleet.of("gateway"), scale, server, redis, seed=seed)
        faults = Faults(fleet, server, model, clients, redis, scale, previous=previous)
        observer = Observer(fleet, faults, redis, [PAGE_MODEL, SUMMARY_MODEL])
        memory, began = memory_mb(fleet), time.monotonic()
        run.redis_bytes = (info["used_memory"], 0)
        watchers = [asyncio.create_task(server.watch()), asyncio.create_task(observer.watch())]
        try:
            async with load.loading(clients) as loading:
                await faults.run(schedule.faults(seed, seconds, kinds=tuple(kinds)))
                await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
                log.info("all faults are over; waiting for quiet")
                calm = time.monotonic()
                run.wrong += await _quiet(clients, fleet, redis, loading, scale)
                run.quiet_s = time.monotonic() - calm
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
        calls = await model.calls() + await model.spoken()
        run.wrong += clients.wrong
        run.wrong += await judgement.judge(
            redis, fleet.of("gateway")[0].url, clients.documents, calls, at_risk=faults.at_risk
        )
        run.wrong += judgement.too_fast(calls, scale, restarts=faults.counts["redis_loses_a_second"])
        run.wrong += judgement.grown(fleet, memory)
        run.wrong += await judgement.lasting(redis) if lifetimes else []
        too_much, run.job_bytes = await judgement.held(redis)
        run.wrong += too_much
        after = memory_mb(fleet)
        run.memory = {name: (memory[name], after[name]) for name in memory if name in after}
        run.redis_bytes = (run.redis_bytes[0], (await redis.info("memory"))["used_memory"])
        await fleet.end()
        _tell(run, clients, faults, observer, fleet, calls)
        run.statuses = dict(judgement.outcomes(job.status for job in await _jobs(redis, clients.documents)))
        run.took_s = time.monotonic() - began
        return run


async def _quiet(clients: Load, fleet: Fleet, redis: Redis, loading: asyncio.Task[None], scale: Scale) -> list[str]:
    """Wait until every document has ended well, and nothing is left; answers what did not."""
    clients.stop()
    done, _ = await asyncio.wait([loading], timeout=scale.quiet_s)
    if not done:
        hanging = await clients.unfinished() + [sentence async for sentence in leftovers(redis)]
        return [f"not ended {scale.quiet_s:.0f} s after the last fault: {sentence}" for sentence in hanging]
    await loading
    await fleet.ready()
    for _ in range(ROUNDS):
        if not await _again(clients, redis, scale):
            break
    deadline = time.monotonic() + EMPTY_S
    while left := [sentence async for sentence in leftovers(redis)]:
        if time.monotonic() > deadline:
            return [f"still so {EMPTY_S} s after everything had ended: {sentence}" for sentence in left]
        await asyncio.sleep(0.2)
    return []


async def _again(clients: Load, redis: Redis, scale: Scale) -> bool:
    """Replay what failed, and wait for its end. False where nothing was to be replayed."""
    again = [document for document in clients.documents if not document.cancelled and not await _whole(redis, document)]
    again = [document for document in again if await clients.replay(document)]
    deadline = time.monotonic() + scale.quiet_s
    for document in again:
        while not await _over(redis, document) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        document.ended = True
    return bool(again)


async def _job(redis: Redis, document: Document) -> Job | None:
    with suppress(RedisError, OSError):
        return await Jobs(redis).get(f"local/{document.id}")
    return None


async def _jobs(redis: Redis, documents: Sequence[Document]) -> list[Job]:
    return [job for document in documents if (job := await _job(redis, document))]


async def _whole(redis: Redis, document: Document) -> bool:
    job = await _job(redis, document)
    return job is not None and job.status == "completed" and job.audio != "failed"


async def _over(redis: Redis, document: Document) -> bool:
    job = await _job(redis, document)
    return job is not None and bool(job.ended_ms) and job.audio not in ("pending", "speaking")


def _tell(run: Run, clients: Load, faults: Faults, observer: Observer, fleet: Fleet, calls: Sequence[Call]) -> None:
    run.done, run.impossible, run.at_risk = faults.done, faults.impossible, faults.at_risk
    run.paths = observer.paths()
    run.documents, run.pages = len(clients.documents), sum(document.pages for document in clients.documents)
    run.submissions, run.replays = dict(clients.answers), clients.replays
    run.calls = dict(Counter("aborted" if call.aborted else call.did or "unfinished" for call in calls))
    run.read_again = sum(judgement.read_again(calls).values())
    run.restarts = sum(part.starts - 1 for part in fleet.parts)
    run.fell = fleet.fell
    run.wrong += [told for told in fleet.fell if "previous release" not in told]
    for done in faults.done:
        if done.kind == "kill":
            run.takeovers_s += [at - done.at for at, owner in fleet.taken_over if owner and owner in done.what]

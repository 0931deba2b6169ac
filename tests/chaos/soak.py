"""One run: a fleet, load and faults together, then quiet, then the judgement."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from shared import bus
from tests.chaos import fleet as fleets
from tests.chaos import judgement, load, schedule, store
from tests.chaos.faults import Faults
from tests.chaos.load import Load
from tests.chaos.observer import Observer, memory_mb
from tests.chaos.quiet import job_of, quiet
from tests.chaos.report import Run
from tests.chaos.scale import LATENCY_S, PAGE_MODEL, SUMMARY_MODEL, Scale
from tests.chaos.scene import Scene
from tests.standin import process
from tests.standin.behaviour import Behaviour

log = logging.getLogger(__name__)

PREVIOUS = "5159bbe"
"""The release before this one."""


async def soak(scale: Scale, run: Run, *, keep: Path | None, kinds: Sequence[schedule.Kind]) -> None:
    """Fill in `run`, which says the seed and for how long.

    `keep`: a folder for logs and data, else they go.
    """
    async with AsyncExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quire-chaos-")))
        previous = await stack.enter_async_context(fleets.previous_release(PREVIOUS))
        scene = await stack.enter_async_context(_set(scale, folder, seed=run.seed))
        run.server, used_before = await _server(scene.redis)
        memory = memory_mb(scene.fleet)
        await _strain(scene, run, previous=previous, kinds=kinds)
        run.wrong += await _broken(scene, memory)
        after = memory_mb(scene.fleet)
        run.memory = {name: (memory[name], after[name]) for name in memory if name in after}
        run.redis_bytes = (used_before, (await _server(scene.redis))[1])
        run.job_bytes = (await judgement.held(scene.redis))[1]
        await _tell(scene, run)
        await scene.fleet.end()
        run.fell = scene.fleet.fell
        run.wrong += [told for told in run.fell if "previous release" not in told]


@asynccontextmanager
async def _set(scale: Scale, folder: Path, *, seed: int) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(store.running(folder / "redis"))
        model = await stack.enter_async_context(process.start(Behaviour(latency_s=LATENCY_S)))
        redis = await stack.enter_async_context(bus.connect(server.url))
        fleet = await stack.enter_async_context(
            fleets.running(scale, folder, redis_port=server.port, model_url=model.url, seed=seed)
        )
        clients = Load(fleet.of("gateway"), scale, server, redis, seed=seed)
        yield Scene(fleet, server, model, clients, redis, scale)


async def _strain(scene: Scene, run: Run, *, previous: Path | None, kinds: Sequence[schedule.Kind]) -> None:
    """Load and faults, then quiet."""
    faults, observer = Faults(scene, previous=previous), Observer(scene, [PAGE_MODEL, SUMMARY_MODEL])
    watchers = [asyncio.create_task(scene.store.watch()), asyncio.create_task(observer.watch())]
    began = time.monotonic()
    try:
        async with load.loading(scene.load) as loading:
            await faults.run(schedule.faults(run.seed, run.seconds, kinds=tuple(kinds)))
            await asyncio.sleep(max(0.0, began + run.seconds - time.monotonic()))
            log.info("all faults are over; waiting for quiet")
            calm = time.monotonic()
            run.wrong += await quiet(scene, loading)
            run.quiet_s = time.monotonic() - calm
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    run.impossible = faults.impossible
    run.paths = observer.paths()


async def _broken(scene: Scene, memory: dict[str, float]) -> list[str]:
    """What of the promises is. `memory`: of each process at the beginning."""
    calls = await scene.model.calls() + await scene.model.spoken()
    at_risk = sum(done.at_risk for done in scene.done)
    lost = sum(done.kind == "redis_loses_a_second" for done in scene.done)
    gateway = scene.fleet.of("gateway")[0].url
    return [
        *scene.load.wrong,
        *await judgement.judge(scene.redis, gateway, scene.load.documents, calls, at_risk=at_risk),
        *judgement.too_fast(calls, scene.scale, lost_seconds=lost),
        *judgement.grown(scene.fleet, memory),
        *await judgement.lasting(scene.redis),
        *(await judgement.held(scene.redis))[0],
    ]


async def _tell(scene: Scene, run: Run) -> None:
    calls = await scene.model.calls() + await scene.model.spoken()
    clients = scene.load
    run.done, run.at_risk = scene.done, sum(done.at_risk for done in scene.done)
    run.documents, run.pages = len(clients.documents), sum(document.pages for document in clients.documents)
    jobs = [await job_of(scene, document) for document in clients.documents]
    run.statuses = dict(Counter(job.status if job else "lost" for job in jobs))
    run.submissions, run.replays = dict(clients.answers), clients.replays
    run.calls = dict(Counter("aborted" if call.aborted else call.did or "unfinished" for call in calls))
    run.read_again = sum(judgement.read_again(calls).values())
    run.restarts = sum(part.starts - 1 for part in scene.fleet.parts)
    kills = [done for done in scene.done if done.kind == "kill"]
    taken = scene.fleet.taken_over
    run.takeovers_s = [at - done.at for done in kills for at, owner in taken if owner and owner in done.what]


async def _server(redis: Redis) -> tuple[str, int]:
    """Its name, and the memory that it uses, in bytes."""
    info: Any = await redis.info()
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    return name, info["used_memory"]

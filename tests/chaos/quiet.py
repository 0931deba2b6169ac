"""After the faults: wait until every document has ended well and nothing is left over, and say what did not."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from redis.exceptions import RedisError

from shared.jobs import Jobs
from shared.records import Job
from tests.chaos.document import Document
from tests.chaos.scene import Scene
from tests.faults.verdict import leftovers

ROUNDS = 5
"""Of dead letters that are replayed: what failed in a storm must succeed without one."""
EMPTY_S = 60


async def quiet(scene: Scene, loading: asyncio.Task[None]) -> list[str]:
    """`loading` returns when every document has ended, or else it hangs."""
    longest_s = scene.scale.quiet_s
    scene.load.stop()
    done, _ = await asyncio.wait([loading], timeout=longest_s)
    if not done:
        hanging = await scene.load.unfinished() + [sentence async for sentence in leftovers(scene.redis)]
        return [f"not ended {longest_s:.0f} s after the last fault: {sentence}" for sentence in hanging]
    await loading
    await scene.fleet.ready()
    for _ in range(ROUNDS):
        if not await _again(scene):
            break
    deadline = time.monotonic() + EMPTY_S
    while left := [sentence async for sentence in leftovers(scene.redis)]:
        if time.monotonic() > deadline:
            return [f"still so {EMPTY_S} s after everything had ended: {sentence}" for sentence in left]
        await asyncio.sleep(0.2)
    return []


async def _again(scene: Scene) -> bool:
    """Replay what failed, and wait for its end. False where nothing was to be replayed."""
    unwell = [d for d in scene.load.documents if not d.cancelled and not _is_whole(await job_of(scene, d))]
    replayed = [document for document in unwell if await scene.load.replay(document)]
    deadline = time.monotonic() + scene.scale.quiet_s
    for document in replayed:
        while not _is_over(await job_of(scene, document)) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
    return bool(replayed)


async def job_of(scene: Scene, document: Document) -> Job | None:
    with suppress(RedisError, OSError):
        return await Jobs(scene.redis).get(f"local/{document.id}")
    return None


def _is_whole(job: Job | None) -> bool:
    return job is not None and job.status == "completed" and job.audio != "failed"


def _is_over(job: Job | None) -> bool:
    return job is not None and bool(job.ended_ms) and job.audio not in ("pending", "speaking")

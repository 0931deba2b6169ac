"""Every prefix of an append-only file is a consistent state, and one from which the work goes on to its end."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import bus
from shared.records import TERMINAL
from shared.repairs import Repairs
from tests import apps
from tests.ledgers import image
from tests.model import aof, workload
from tests.model.consistency import faults
from tests.model.seen import look
from tests.model.servers import KINDS, running
from tests.model.state import STREAMS

CUTS = 10  # files that are loaded by a server that starts; every step is looked at besides


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
async def test_every_prefix_of_an_append_only_file_is_a_consistent_state(kind: str, tmp_path: Path) -> None:
    written = tmp_path / "written"
    written.mkdir()
    with running(kind, folder=written) as url:
        async with apps.app(url, tmp_path / "blobs") as app:
            await workload.run(app)
            final = await image(app.redis)
    text = aof.newest(written).read_bytes()
    steps = aof.steps(text)
    assert len(steps) > 50
    assert max(len(step.commands) for step in steps) > 5  # a script's writes are one step
    with running(kind) as url:
        async with bus.connect(url) as redis:
            states = await _replayed(redis, steps)
            assert await image(redis) == final
    chosen = random.Random(4)  # the same cuts each time: a failure is to be looked into
    for end in chosen.sample(range(steps[len(steps) // 10].end, len(text)), CUTS):
        await _starts_again(kind, written, tmp_path, end, [step for step in steps if step.end <= end], states)


async def _replayed(redis: Redis, steps: list[aof.Step]) -> list[dict[str, str]]:
    """The state behind each step, every one of them consistent."""
    states = []
    groups = 0
    for step in steps:
        async with redis.pipeline(transaction=True) as pipe:
            for command in step.commands:
                pipe.execute_command(*command)
                groups += command[:2] == [b"XGROUP", b"CREATE"]
            await pipe.execute()
        if groups >= len(STREAMS):
            wrong = faults(await look(redis, list(workload.PAGES)))
            assert not wrong, f"after {step.commands}: {wrong}"
        states.append(await image(redis))
    return states


async def _starts_again(
    kind: str, written: Path, folder: Path, end: int, kept: list[aof.Step], states: list[dict[str, str]]
) -> None:
    """A server that finds the file cut there is where its last whole step had led, and its fleet ends what it finds."""
    data = folder / f"cut-{end}"
    shutil.copytree(written, data)
    with aof.newest(data).open("r+b") as file:
        file.truncate(end)
    with running(kind, folder=data) as url:
        async with bus.connect(url) as redis:
            assert await image(redis) == states[len(kept) - 1]
        async with apps.app(url, folder / "blobs") as app:
            known = [job for ref in workload.PAGES if (job := await app.jobs.get(ref))]
            for job in known:
                assert await Repairs(app.redis).reconcile(job.ref) == {}
            await workload.drain(app)
            for job in known:
                ended = await app.jobs.get(job.ref)
                assert ended is not None
                assert ended.status in TERMINAL
                assert ended.done + ended.failed == ended.pages or ended.status == "cancelled"
                assert ended.audio in ("ready", "failed", "none")
            seen = await look(app.redis, list(workload.PAGES))
            assert not faults(seen)
            assert not any(seen.streams.values())

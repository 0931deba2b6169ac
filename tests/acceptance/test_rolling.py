"""A rolling deploy: each process of a busy fleet gets a replacement, then SIGTERM. Nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pybase64
import pytest

from shared import fleet as signs
from shared.events import FACTS
from tests import pages
from tests.clients import JSON, Client
from tests.conftest import eventually
from tests.faults import fleet as faulty
from tests.faults.fleet import Fleet
from tests.faults.verdict import Asked
from tests.servers import free_port
from tests.standin.behaviour import Behaviour

PAGES = 8
DRAINED_S = 15
"""What is in hand takes about a second; the rest is a busy machine's."""
CALLING = ("page_worker", "aggregator", "tts")
"""These can be met with work in hand; the others' takes a few milliseconds."""


class Readers:
    """People who submit a document each half second, until they are told to stop."""

    def __init__(self, fleet: Fleet) -> None:
        self.asked: list[Asked] = []
        self.elsewhere = asyncio.Lock()
        """Held, nobody submits."""
        self._fleet = fleet

    async def submit(self) -> None:
        while True:
            async with self.elsewhere:
                images = [pages.page_image(n, seed=900 + len(self.asked), size_kb=10) for n in range(1, PAGES + 1)]
                self.asked.append(await self._fleet.submit(images))
            await asyncio.sleep(0.5)


async def living(fleet: Fleet, name: str) -> str:
    """The worker name of a process of the fleet, once it gives signs of life."""

    async def found() -> list[str]:
        pid = fleet.children[name].pid
        return [worker for worker, sign in (await signs.living(fleet.redis)).items() if sign.pid == pid]

    return (await eventually(found, within_s=30))[0]


async def busy(fleet: Fleet, name: str) -> None:
    """Return when this process has something in hand."""
    worker = await living(fleet, name)

    async def held() -> int:
        found = [await fleet.redis.xinfo_consumers(fact.stream, fact.group) for fact in FACTS]
        return sum(consumer["pending"] for mine in found for consumer in mine if consumer["name"] == worker)

    await eventually(held, within_s=30)


async def replaced(fleet: Fleet, name: str, **variables: object) -> None:
    """A new process beside the old one, which is then told to stop in mid work, and ends with exit code 0."""
    fleet.start(f"{name}-new", **variables)
    await living(fleet, f"{name}-new")
    if name.startswith(CALLING):
        await busy(fleet, name)
    assert await fleet.end(name, within_s=DRAINED_S) == 0


@contextlib.asynccontextmanager
async def uploading(fleet: Fleet) -> AsyncIterator[asyncio.Task[Asked]]:
    """A document is on its way to the gateway inside the block; the rest of it is sent when the gateway drains."""
    image = pages.page_image(1, seed=899)
    asked = Asked(id=str(uuid.uuid4()), pages=1, tokens=(pages.token(image),), narrate=True)
    body = {
        "job_id": asked.id,
        "user_id": "reader",
        "images_base64": [pybase64.b64encode_as_string(image)],
        "num_pages": 1,
        "file_type": "jpeg",
    }
    raw, begun, drains = msgspec.json.encode(body), asyncio.Event(), fleet.said("drain")

    async def slowly() -> AsyncIterator[bytes]:
        yield raw[:1000]
        begun.set()

        async def draining() -> bool:
            return fleet.said("drain") > drains

        await eventually(draining, within_s=30)
        yield raw[1000:]

    async def upload(session: aiohttp.ClientSession) -> Asked:
        async with session.post("/process-large-document", data=slowly(), headers=JSON) as answer:
            assert answer.status == 202, await answer.text()
        return asked

    task = asyncio.create_task(upload(fleet.session))
    await begun.wait()
    yield task
    await task


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_rolling_deploy_of_a_busy_fleet_costs_no_page_and_no_call(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        fleet, _ = await stack.enter_async_context(
            faulty.started(tmp_path, lease_s=6, grace_s=30, page_concurrency=8, tts_concurrency=2)
        )
        fleet.model.behave(Behaviour(latency_s=0.4))
        readers = Readers(fleet)
        reading = asyncio.create_task(readers.submit())
        for name in [name for name in fleet.children if not name.startswith("gateway")]:
            await replaced(fleet, name)
        port = free_port()
        session = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
        fleet.start("gateway-1-new", port=port)
        await living(fleet, "gateway-1-new")
        async with uploading(fleet) as upload:
            async with readers.elsewhere:  # as a load balancer does: new connections go to the new gateway
                fleet.session, fleet.api = session, Client(session)
            assert await fleet.end("gateway-1", within_s=DRAINED_S) == 0
        readers.asked.append(await upload)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        for asked in readers.asked:
            status = await fleet.ended(asked, within_s=60)
            assert (status["status"], status["audio"]) == ("completed", "ready")
        await fleet.judged(*readers.asked, extra=0)
        assert not any(call.aborted for call in fleet.calls())
        assert fleet.said("reclaimed") == 0
        print(f"{len(readers.asked)} documents, {len(fleet.calls())} calls, none for nothing")  # noqa: T201 - the figure

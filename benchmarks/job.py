"""Hands one document to a fleet, and notes when what happens to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import aiohttp
import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.parameters import LATER_LOOK_S, LOOK_S, RUN_LIMIT_S
from cli.wire import Pages
from shared.records import TERMINAL

_CHUNK = 1 << 18  # bytes


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed here of the answer to a submission."""

    job_id: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed here of GET /batch-status/{job_id}."""

    status: str
    current_page: int
    total_pages: int
    pages: Pages
    reason: str | None
    ended_at: datetime | None


class Refused(BenchmarkError):
    """A submission that was not accepted."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that was answered 202. Moments as in Times."""

    job_id: str
    began: float
    sent: float
    accepted: float


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Moments as `time.time()`, in order."""

    began: float
    sent: float
    """The last byte of the upload left the benchmark."""
    accepted: float
    first_page: float
    last_page: float
    completed: float
    """By the fleet's own clock, which is this machine's."""


async def completed(api_url: str, path: str, *, body: Path, content_type: str, pages: int) -> Times:
    """Submit the body to this path and wait. Raises BenchmarkError unless every page is read, within RUN_LIMIT_S."""
    try:
        async with asyncio.timeout(RUN_LIMIT_S), aiohttp.ClientSession(api_url) as session:
            return await _completed(session, path, body, content_type, pages)
    except TimeoutError as error:
        raise BenchmarkError(f"The document was not completed within {RUN_LIMIT_S} s.") from error
    except aiohttp.ClientError as error:
        raise BenchmarkError(f"The gateway did not answer as it should: {error!r}") from error


async def _completed(session: aiohttp.ClientSession, path: str, body: Path, content_type: str, pages: int) -> Times:
    sent = await submit(session, path, body=body, content_type=content_type)
    first = last = 0.0
    while True:
        status = await look(session, sent.job_id)
        first = first or (time.time() if status.current_page else 0.0)
        last = last or (time.time() if status.current_page == pages else 0.0)
        if status.status in TERMINAL:
            break
        await asyncio.sleep(LATER_LOOK_S if first else LOOK_S)
    _check(status, pages)
    assert status.ended_at is not None
    end = status.ended_at.timestamp()
    return Times(
        began=sent.began, sent=sent.sent, accepted=sent.accepted, first_page=first, last_page=last, completed=end
    )


async def submit(session: aiohttp.ClientSession, path: str, *, body: Path, content_type: str) -> Sent:
    """Hand in one document. Raises Refused where the answer is not 202."""
    sent: list[float] = []

    async def content() -> AsyncIterator[bytes]:
        with body.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk
        sent.append(time.time())

    size = (await asyncio.to_thread(body.stat)).st_size
    headers = {"Content-Type": content_type, "Content-Length": str(size)}
    began = time.time()
    async with session.post(path, data=content(), headers=headers) as response:
        if response.status != 202:
            raise Refused(f"{path} answered {response.status}: {await response.text()}")
        job_id = msgspec.json.decode(await response.read(), type=Accepted).job_id
    return Sent(job_id=job_id, began=began, sent=sent[0], accepted=time.time())


async def look(session: aiohttp.ClientSession, job_id: str) -> Status:
    """Its status now."""
    async with session.get(f"/batch-status/{job_id}", raise_for_status=True) as response:
        return msgspec.json.decode(await response.read(), type=Status)


async def completed_at(session: aiohttp.ClientSession, job_id: str, *, pages: int) -> float:
    """When it was completed, by the fleet's clock. Raises BenchmarkError unless every page was read."""
    status = await ended(session, job_id)
    _check(status, pages)
    assert status.ended_at is not None
    return status.ended_at.timestamp()


async def ended(session: aiohttp.ClientSession, job_id: str) -> Status:
    """Its status once it has ended; a gateway that is away, or without its Redis, is asked again.

    Raises BenchmarkError where that takes longer than RUN_LIMIT_S.
    """
    try:
        async with asyncio.timeout(RUN_LIMIT_S):
            while True:
                with suppress(aiohttp.ClientError):
                    status = await look(session, job_id)
                    if status.status in TERMINAL:
                        return status
                await asyncio.sleep(LATER_LOOK_S)
    except TimeoutError as error:
        raise BenchmarkError(f"Job {job_id} has not ended within {RUN_LIMIT_S} s.") from error


def _check(status: Status, pages: int) -> None:
    """A figure is worth something only if every page was read, by a call of its own."""
    if status.status != "completed" or status.pages.done != pages or status.pages.cached:
        raise BenchmarkError(
            f"The document ended {status.status} ({status.reason or 'no reason'}) with {status.pages.done} of {pages} "
            f"pages read, {status.pages.failed} failed and {status.pages.cached} cached: its times mean nothing."
        )

"""`./quire demo`: a fleet, a document, its progress, its summary; then everything is ended again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from rich.console import Console

from cli import client, datafolder, display, narration, outcome, running, signals, sources, watch, wording
from cli.client import Client
from cli.datafolder import PROJECT, Folder
from cli.errors import CommandError
from cli.fleet import DEFAULT_PORT, Options
from cli.signals import Signals
from cli.sources import Pdf, Source
from cli.wire import Status

SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
READY_LIMIT_S = 90.0  # a cold, busy machine needs a tenth of it; a Redis that never answers would need for ever


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What is left to say once the fleet has ended."""

    line: str = ""
    code: int = 130
    """130: a signal came first."""


async def demo(file: Path | None, options: Options) -> int:
    """Exits 0 when the document was completed, 1 when it ended otherwise, 130 when a signal came first."""
    source = sources.recognise([file or SAMPLE])
    folder = datafolder.find(os.environ)
    with signals.caught() as caught:
        standing = folder.running()
        fleet = _standing(standing.api_url) if standing else _own(options, folder, caught)
        async with fleet as gateway:
            ended = await _read(gateway, source, folder, caught, ours=not standing) if gateway else Ended()
    if ended.line:
        print(ended.line, flush=True)
    return ended.code


@asynccontextmanager
async def _standing(url: str) -> AsyncIterator[Client]:
    print(f"a fleet is running here already, so the demo uses it: {url}", flush=True)
    async with client.connected(url) as gateway:
        yield gateway


@asynccontextmanager
async def _own(options: Options, folder: Folder, caught: Signals) -> AsyncIterator[Client | None]:
    """The gateway of a fleet that runs as long as the block; None when a signal came before it was ready."""
    started = time.monotonic()
    with Console(stderr=True, highlight=False).status("starting the fleet") as line:
        async with running.here(
            options,
            folder,
            caught,
            any_port=True,
            logs=True,
            progress=lambda up, of: line.update(f"starting the fleet: {up} of {of} processes are ready"),
            limit_s=READY_LIMIT_S,
        ) as fleet:
            line.stop()
            if fleet is None:
                yield None
                return
            took_s = time.monotonic() - started
            print(f"ready: {fleet.api_url} ({fleet.processes} processes after {took_s:.1f} s)", flush=True)
            async with client.connected(fleet.api_url) as gateway:
                try:
                    yield gateway
                except CommandError:
                    running.tell(f"the logs of the fleet's processes: {folder.logs}")
                    raise
            line.update("ending the fleet")
            line.start()


async def _read(gateway: Client, source: Source, folder: Folder, caught: Signals, *, ours: bool) -> Ended:
    """Submit, follow, print; `ours`: the fleet ends with the demo. The job is cancelled when a signal comes."""
    started = time.monotonic()
    job_id = (await gateway.submit(source))[0].job_id
    name = source.path.name if isinstance(source, Pdf) else wording.counted(len(source.paths), "page image")
    print(f"reading {name} as job {job_id}", flush=True)
    status = await _follow(gateway, job_id, caught)
    if status is None:
        await gateway.cancel(job_id)
        return Ended(line=f"cancelled {job_id}: stopped by a signal")
    took_s = time.monotonic() - started
    result, (report, document) = await outcome.result(gateway, job_id, out=folder.demo)
    out = outcome.console()
    outcome.show(out, status, result)
    audio = await narration.saved(gateway, job_id, out=folder.demo, stop=caught.stop)
    outcome.table(
        out,
        {
            "Took": f"{took_s:.1f} s",
            "Report": str(report),
            "Result": str(document),
            "Audio": audio,
            "Files": f"{folder.path} (blobs, the embedded server's data, logs)",
            "API": _api(gateway.url, job_id, ours=ours),
        },
    )
    return Ended(line=outcome.last_line(status, took_s), code=0 if status.status == "completed" else 1)


async def _follow(gateway: Client, job_id: str, caught: Signals) -> Status | None:
    """The job's last status; None when a signal came first."""
    with display.live(Console(stderr=True, highlight=False)) as show:
        watching = asyncio.create_task(watch.until_ended(gateway, job_id, show), name="watch")
        stopping = asyncio.create_task(caught.stop.wait(), name="stop")
        try:
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return watching.result() if watching.done() else None
        finally:
            watching.cancel()
            stopping.cancel()


def _api(url: str, job_id: str, *, ours: bool) -> str:
    """Where the result can be asked for, and how, once the demo's own fleet has ended."""
    address = f"{url}/documents/{job_id}"
    if not ours:
        return address
    again = "./quire up" if url.endswith(f":{DEFAULT_PORT}") else f"./quire up --port {url.rpartition(':')[2]}"
    return f"{address} (the fleet ends with the demo; start it again: {again})"

"""`./quire submit`: a document to a fleet that runs, and on request its result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import msgspec
from rich.console import Console

from cli import client, display, outcome, running, sources, watch
from cli.client import Client
from cli.wire import Accepted


class Options(msgspec.Struct, frozen=True, kw_only=True):
    files: list[Path]
    url: str | None = None
    watch: bool = False
    out: Path | None = None
    """Folder for the report and the result; asking for it means waiting for the end."""
    as_json: bool = False


async def submit(options: Options) -> int:
    """Exits 0 when the document was accepted, or, when it was waited for, completed; 1 when it ended otherwise."""
    source = sources.recognise(options.files)
    async with client.connected(client.find(options.url, os.environ)) as gateway:
        started = time.monotonic()
        accepted, answer = await gateway.submit(source)
        if options.watch or options.out:
            return await _follow(gateway, accepted, options, started)
        if options.as_json:
            print(answer.decode())
        else:
            print(f"accepted {accepted.job_id}\nits progress and result: ./quire job {accepted.job_id}")
        return 0


async def _follow(gateway: Client, accepted: Accepted, options: Options, started: float) -> int:
    progress = display.live(Console(stderr=True, highlight=False))
    try:
        with contextlib.nullcontext(display.silent) if options.as_json else progress as show:
            status = await watch.until_ended(gateway, accepted.job_id, show)
    except asyncio.CancelledError:  # ctrl-C
        running.tell(f"the job goes on: ./quire job {accepted.job_id}, or cancel it: ./quire cancel {accepted.job_id}")
        raise
    took_s = time.monotonic() - started
    result, paths = await outcome.result(gateway, accepted.job_id, out=options.out)
    if options.as_json:
        print(msgspec.json.encode(status).decode())
    else:
        outcome.show(outcome.console(), status, result)
        for path in paths:
            print(path)
        print(outcome.last_line(status, took_s))
    return 0 if status.status == "completed" else 1

"""`./quire job` and `./quire cancel`: one job of a fleet that runs."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from cli import client, outcome, progress


class _Cancellation(msgspec.Struct):
    status: str
    message: str = ""


async def job(job_id: str, *, url: str | None, out: Path | None, as_json: bool) -> int:
    """Show how far a job is, and what came of it; `out`: a folder for the report and the result as they are now."""
    async with client.connected(client.find(url, os.environ)) as gateway:
        status = await gateway.status(job_id)
        if as_json:
            print((await gateway.status_json(job_id)).decode())
        else:
            print(progress.describe(status, 0))
        if out or (status.ended and not as_json):
            result, paths = await outcome.result(gateway, job_id, out=out)
            if not as_json:
                outcome.show(outcome.console(), status, result)
                print(*paths, sep="\n", end="\n" if paths else "")
    return 0


async def cancel(job_id: str, *, url: str | None, as_json: bool) -> int:
    """Cancel a job; cancelling one that has ended changes nothing and says how it ended."""
    async with client.connected(client.find(url, os.environ)) as gateway:
        answer = await gateway.cancel(job_id)
    if as_json:
        print(answer.decode())
    else:
        cancellation = msgspec.json.decode(answer, type=_Cancellation)
        print(cancellation.message or f"{cancellation.status} {job_id}")
    return 0

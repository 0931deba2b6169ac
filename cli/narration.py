"""Waits for a job's narration, and saves it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from cli import outcome
from cli.client import Client

PATIENCE_S = 120.0
"""The local voice speaks an ordinary summary in a tenth of it."""
_LOOK_S = 0.3


async def saved(gateway: Client, job_id: str, *, out: Path, stop: asyncio.Event) -> str:
    """The narration's path in the folder `out`, or a few words on why there is none (yet). Ends early at `stop`."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    with Console(stderr=True, highlight=False).status("the summary is being spoken"):
        status = await gateway.status(job_id)
        while status.audio in ("pending", "speaking") and not stop.is_set():
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_LOOK_S)
            status = await gateway.status(job_id)
    match status.audio:
        case "ready":
            path = out / f"{job_id}.mp3"
            await outcome.write({path: await gateway.audio(job_id)})
            return str(path)
        case "failed":
            return f"none: {status.audio_reason}"
        case "none":
            return "none was asked for"
        case waiting:
            return f"{waiting}: ask the API for it later"

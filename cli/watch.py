"""Follows a job until it has ended."""

from __future__ import annotations

import asyncio
import time

from cli.client import Client, Unreachable
from cli.display import Show
from cli.wire import Status

POLL_S = 0.25
PATIENCE_S = 30.0  # a gateway that is being started again is back by then


async def until_ended(client: Client, job_id: str, show: Show) -> Status:
    """Poll the job's status, showing each; returns the last. A gateway that is away for a moment is waited for."""
    answered = time.monotonic()
    while True:
        try:
            status = await client.status(job_id)
        except Unreachable:
            if time.monotonic() - answered > PATIENCE_S:
                raise
        else:
            answered = time.monotonic()
            show(status)
            if status.ended:
                return status
        await asyncio.sleep(POLL_S)

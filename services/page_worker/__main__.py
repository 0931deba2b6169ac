"""Settings and wiring: `python -m services.page_worker`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta

from services.page_worker import handler, vision
from shared import service
from shared.ai import model as ai
from shared.consumer import Stage
from shared.events import PageRequested
from shared.limiter import Limiter
from shared.settings import ModelSettings


class PageWorkerSettings(ModelSettings, frozen=True, kw_only=True, rename="upper"):
    """What the page worker needs on top."""

    page_model: str = "gpt-6-luna"
    """Reads page images: any vision model of the server. The default is OpenAI's for high volumes, its cheapest."""
    page_concurrency: Annotated[int, Meta(ge=1)] = 64
    """Pages that a worker reads at once. A call waits far more than it works: 64 pages of 250 kB take about 180 MB."""


async def main(app: service.App[PageWorkerSettings]) -> None:
    """Consume pages until told to stop."""
    settings = app.settings
    limiter = Limiter(app.redis, settings.page_model, rpm=settings.llm_rpm, tpm=settings.llm_tpm)
    app.calls(limiter)
    async with ai.connect(settings, limiter) as model:
        read = partial(vision.read, ask=model.ask, model=settings.page_model, clear=app.control.clear)
        handle = partial(handler.handle, fetch=app.blobs.get, keep=app.blobs.keep, read=read)
        await app.consume(Stage(PageRequested, handle, slots=settings.page_concurrency, permits=limiter))


if __name__ == "__main__":
    service.run("page_worker", PageWorkerSettings, main)

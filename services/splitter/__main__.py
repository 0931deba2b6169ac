"""Settings and wiring: `python -m services.splitter`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta

from services.splitter import handler
from services.splitter.orders import Look
from services.splitter.rendering import rendering
from shared import service
from shared.consumer import Stage
from shared.events import BatchRequested, DocSubmitted
from shared.settings import Settings

AtLeast1 = Annotated[int, Meta(ge=1)]


class SplitterSettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What the splitter needs on top."""

    dpi: AtLeast1 = 150
    """Resolution of page images made of PDF pages: 12-point text is 25 pixels high, a page about 250 kB."""
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    """Of page images. Above 80 they grow faster than they get clearer."""
    max_image_side: AtLeast1 = 2400
    """Longer side of the page images that are made here, in pixels; larger pages get less than DPI."""
    max_upload_side: AtLeast1 = 4096
    """Longer side, in pixels, up to which a model sees an uploaded page image as it is (A4 at 300 dpi: 3508)."""
    max_image_bytes: AtLeast1 = 20_000_000
    """Size up to which a model sees an uploaded page image as it is."""
    max_pages: AtLeast1 = 20_000
    """A PDF that has more is refused."""
    render_processes: AtLeast1 = 1
    """Processes that render for this one. To use more cores, run more splitters, or raise this."""
    render_timeout_s: Annotated[float, Meta(gt=0)] = 30
    """One page. What takes longer is a gap; the slowest honest page known took 0.2 s."""


async def main(app: service.App[SplitterSettings]) -> None:
    """Consume both stages until told to stop."""
    settings = app.settings
    look = Look(
        dpi=settings.dpi,
        quality=settings.jpeg_quality,
        max_side=settings.max_image_side,
        keep_side=settings.max_upload_side,
        keep_bytes=settings.max_image_bytes,
    )
    async with rendering(look, processes=settings.render_processes, timeout_s=settings.render_timeout_s) as renderer:
        plan = partial(
            handler.plan,
            job=app.jobs.get,
            local=app.blobs.local,
            count_pages=renderer.count_pages,
            max_pages=settings.max_pages,
        )
        render = partial(
            handler.render,
            job=app.jobs.get,
            local=app.blobs.local,
            render_page=renderer.render_page,
            take_image=renderer.take_image,
            put=app.blobs.keep,
            ahead=2 * settings.render_processes + 2,  # each has one in hand and one next; two are being stored
        )
        await app.consume(
            Stage(DocSubmitted, plan, slots=2),
            Stage(BatchRequested, render, slots=settings.render_processes),
        )


if __name__ == "__main__":
    service.run("splitter", SplitterSettings, main)

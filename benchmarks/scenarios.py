"""What is measured. Each scenario's `once` is one run, on a fleet of its own that has read nothing before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import documents, job
from benchmarks.common import on_standin, shown
from benchmarks.errors import BenchmarkError
from benchmarks.faults import FAULTS
from benchmarks.fleet import up
from benchmarks.meter import metering
from benchmarks.parameters import (
    CORES,
    FEW_PAGES,
    IMAGES,
    LARGE_IMAGE_KB,
    MANY_PAGES,
    MODEL_LATENCY_S,
    PAGE_CONCURRENCY,
    PAGE_WORKERS,
    PDF_PAGES,
    SMALL_IMAGE_KB,
    SPLITTERS,
)
from benchmarks.runs import REDIS_FIGURE, Run, Scenario
from tests import books
from tests.standin.process import Remote

_UNSPOKEN = "/documents?narrate=false"  # a narration would go on after `completed`, and is not what is timed


async def _pdf(workshop: Path, *, pages: int) -> Run:
    body = books.long_pdf(workshop, pages)
    async with on_standin(workshop) as (fleet, model):
        redis_before = await fleet.redis_bytes()
        async with metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter:
            times = await job.completed(
                fleet.api_url, _UNSPOKEN, body=body, content_type="application/pdf", pages=pages
            )
        await _check_calls(model, pages)
        rendering_s = sum(meter.usage[kind].cpu_s for kind in ("splitter", "renderer"))
        figures = {
            "upload, s": times.sent - times.began,
            "upload's end to first page analysed, s": times.first_page - times.sent,
            "upload's end to last page analysed, s": times.last_page - times.sent,
            "upload's end to completed, s": times.completed - times.sent,
            "pages/s": pages / (times.completed - times.sent),
            "render share of two cores, %": 100 * rendering_s / (CORES * meter.seconds),
            REDIS_FIGURE: (await fleet.redis_bytes() - redis_before) / pages,
        }
        return await shown(figures, fleet, meter, pages)


async def _images(workshop: Path, *, size_kb: int) -> Run:
    body = documents.images(workshop, size_kb)
    async with on_standin(workshop) as (fleet, model):
        async with metering(lambda: fleet.kinds() | {model.pid: "stand-in"}) as meter:
            times = await job.completed(
                fleet.api_url, "/process-large-document", body=body, content_type="application/json", pages=IMAGES
            )
        await _check_calls(model, IMAGES)
        figures = {
            "upload, s": times.sent - times.began,
            "last byte to accepted (202), s": times.accepted - times.sent,
            "last byte to last page analysed, s": times.last_page - times.sent,
            "last byte to completed, s": times.completed - times.sent,
            "pages/s": IMAGES / (times.completed - times.sent),
        }
        return await shown(figures, fleet, meter, IMAGES)


async def _sample(workshop: Path) -> Run:
    pages = documents.pages_of(books.SAMPLE)
    async with up(workshop, settings={}) as fleet:
        async with metering(fleet.kinds) as meter:
            times = await job.completed(
                fleet.api_url, _UNSPOKEN, body=books.SAMPLE, content_type="application/pdf", pages=pages
            )
        completed_s = times.completed - times.began
        return await shown({"submit to completed, s": completed_s, "pages/s": pages / completed_s}, fleet, meter, pages)


SCENARIOS = (
    Scenario(
        name="pdf",
        title=f"pdf: {PDF_PAGES:,} pages of PDF, a model that takes {MODEL_LATENCY_S:g} s, {SPLITTERS} splitters, "
        f"{PAGE_WORKERS} page workers of {PAGE_CONCURRENCY} slots",
        lengths=(partial(_pdf, pages=PDF_PAGES),),
    ),
    *(
        Scenario(
            name="images",
            title=f"images: {IMAGES} page images of about {size_kb} kB, the same model and fleet",
            lengths=(partial(_images, size_kb=size_kb),),
        )
        for size_kb in (SMALL_IMAGE_KB, LARGE_IMAGE_KB)
    ),
    Scenario(
        name="sample", title="sample: the sample document on the local model, the default fleet", lengths=(_sample,)
    ),
    Scenario(
        name="memory",
        title=f"memory: {FEW_PAGES:,} and {MANY_PAGES:,} pages of PDF, one run each, the model and the fleet of pdf",
        lengths=tuple(partial(_pdf, pages=pages) for pages in (FEW_PAGES, MANY_PAGES)),
    ),
    *FAULTS,
)


async def _check_calls(model: Remote, pages: int) -> None:
    """Every page was asked about once, by a call that was answered. Calls for speech are none of these."""
    outcomes = (await model.stats()).by_schema.get("page_analysis", {})
    if outcomes != {"answer": pages}:
        raise BenchmarkError(f"{pages} pages should have cost as many calls, and it came to {outcomes}.")

"""Hostile and odd files, sent to a gateway and taken apart by a real renderer: each ends with a sentence.

The splitter's handlers run here as its consumer would run them, on a real Redis; nobody reads the pages.
"""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from services.splitter import handler
from services.splitter.orders import Look
from services.splitter.rendering import rendering
from shared.errors import Refused
from shared.events import BatchRequested, DocSubmitted
from shared.ledger import Entry
from tests import pages
from tests.integration import oddities as odd
from tests.integration.gateways import IMAGES, JSON, PDF, Fleet, Gateway, running

LOOK = Look(dpi=50, quality=80, max_side=800, keep_side=2000, keep_bytes=20_000_000)

READY = "ready"
BLANK = "blank"
NO_PDF = "The file can't be opened as a PDF: it is damaged, cut short, or something else than a PDF."
DAMAGED_PAGE = "The page is damaged and can't be rendered."
TOO_MUCH = "The page can't be rendered: it is damaged, or needs too much memory (the renderer died of it twice)."
LOST_PICTURE = "The picture on the page is damaged or too large, so that nothing of it can be shown."
DAMAGED_IMAGE = "The image is damaged and can't be read."

REFUSED_AT_ONCE = {
    "nothing": (b"", "The file is empty: send a PDF file."),
    "a picture": (
        odd.image("PNG"),
        "The file is an image (png), not a PDF: send page images to POST /process-large-document.",
    ),
    "a zip": (
        b"PK\x03\x04 and so on",
        "There is no %PDF- in the first 1,024 bytes, which begin with 50 4b 03 04 20 61 6e 64: send a PDF file.",
    ),
}
FAILED = {
    "a web page that says it is a PDF": (b"<html>%PDF-1.7</html>", NO_PDF),
    "cut short": (pages.pdf(20)[:5000], NO_PDF),
    "encrypted": (odd.encrypted(), "The PDF is protected by a password: submit it without one."),
    "without pages": (pages.pdf(0), "The PDF has no pages."),
    "a million pages in 1 kB": (
        pages.pdf(1).replace(b"/Count 1 ", b"/Count 999999 "),
        "The PDF has 999999 pages; MAX_PAGES allows 6000. Split it and submit the parts.",
    ),
}
PDF_PAGES: dict[str, tuple[bytes, list[str]]] = {
    "a damaged page among good ones": (odd.damaged_in_the_middle(), [READY, DAMAGED_PAGE, READY]),
    "fewer pages than it says": (pages.pdf(1).replace(b"/Count 1 ", b"/Count 2 "), [READY, DAMAGED_PAGE]),
    "a blank page among others": (pages.pdf(3, blank={2}), [READY, BLANK, READY]),
    "paper of 700 metres": (odd.of_size(b"0 0 2000000 2000000"), [READY]),
    "paper without an end": (odd.of_size(b"0 0 1e38 1e38"), [READY]),
    "paper of no size": (odd.of_size(b"0 0 0 0"), [READY]),
    "a picture of 10 gigapixels": (odd.picture(100_000), [LOST_PICTURE]),
    "a picture that is not there": (odd.picture(20_000), [LOST_PICTURE]),
    "a page of a gigabyte": (odd.gigabytes_of_nothing(), [TOO_MUCH, READY]),
    "a drawing that draws itself": (odd.without_end(), [TOO_MUCH]),
}
PAGE_IMAGES: dict[str, tuple[bytes, str]] = {
    "JPEG": (odd.image("JPEG"), READY),
    "for print": (odd.image("JPEG", "CMYK"), READY),
    "16 bits": (odd.image("PNG", "I;16"), READY),
    "a fax": (odd.image("TIFF", "1", compression="group4"), READY),
    "lying on its side": (odd.lying(), READY),
    "transparent PNG": (odd.transparent("PNG"), READY),
    "transparent WebP": (odd.transparent("WEBP"), READY),
    "nothing on it": (odd.encoded(odd.Image.new("RGB", (300, 400), "white"), "PNG"), BLANK),
    "nothing but transparency": (odd.encoded(odd.Image.new("RGBA", (300, 400)), "PNG"), BLANK),
    "half a JPEG": (pages.page_image(1)[:20_000], DAMAGED_IMAGE),
    "half a PNG": (pages.page_image(1, kind="png")[:20_000], DAMAGED_IMAGE),
    "a bomb": (odd.bomb(), "The image is too large: it has more than 89 million pixels."),
    "no image behind its first bytes": (
        b"\xff\xd8\xff and no more",
        "The uploaded file is not an image of a known kind.",
    ),
}


class Splitter:
    """The splitter's handlers, wired as in its main, and recorded as its consumer does."""

    def __init__(self, gateway: Gateway, plan: Any, render: Any) -> None:
        self._app = gateway.app
        self._fleet = Fleet(gateway.app)
        self._plan = plan
        self._render = render

    async def run(self) -> None:
        """Until nothing is left to be split."""
        for entry in await self._fleet.taken(DocSubmitted):
            try:
                await self._app.ledger.record(entry, await self._plan(entry.fact))
            except Refused as error:
                await self._app.ledger.fail(entry, str(error))
        while batches := await self._fleet.taken(BatchRequested):
            for entry in batches:
                await self._rendered(entry)

    async def _rendered(self, entry: Entry) -> None:
        async for report in self._render(entry.fact):
            await self._app.ledger.record(entry, report)


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path, max_body_bytes=10_000_000) as started:
        yield started


@pytest.fixture
async def splitter(gateway: Gateway) -> AsyncIterator[Splitter]:
    async with splitting(gateway) as started:
        yield started


@asynccontextmanager
async def splitting(gateway: Gateway, *, timeout_s: float = 60) -> AsyncIterator[Splitter]:
    app = gateway.app
    async with rendering(LOOK, processes=1, timeout_s=timeout_s) as renderer:
        local, job = app.blobs.local, app.jobs.get
        yield Splitter(
            gateway,
            partial(handler.plan, job=job, local=local, count_pages=renderer.count_pages, max_pages=6000),
            partial(
                handler.render,
                job=job,
                local=local,
                render_page=renderer.render_page,
                take_image=renderer.take_image,
                put=app.blobs.put,
                ahead=4,
            ),
        )


async def accepted(gateway: Gateway, document: bytes, query: str = "") -> str:
    status, answer = await gateway.ask("POST", f"/documents{query}", data=io.BytesIO(document), headers=PDF)
    assert status == 202, answer
    return str(answer["job_id"])


async def ends(gateway: Gateway, job_id: str) -> list[str]:
    """What became of each page: READY, BLANK, or the sentence of a gap."""
    job = await gateway.app.jobs.get(f"local/{job_id}")
    assert job is not None
    found = await gateway.app.jobs.pages(job, range(job.pages))
    return [page.reason or (BLANK if page.blank else READY) for page in found]


async def test_what_is_evidently_no_pdf_is_refused_with_a_sentence_and_leaves_nothing_behind(gateway: Gateway) -> None:
    told = {}
    for name, (document, _) in REFUSED_AT_ONCE.items():
        status, problem = await gateway.ask("POST", "/documents", data=document, headers=PDF)
        assert status == 422
        told[name] = problem["detail"]
    assert told == {name: sentence for name, (_, sentence) in REFUSED_AT_ONCE.items()}
    assert gateway.files() == []


async def test_a_document_that_cannot_be_opened_fails_with_a_sentence(gateway: Gateway, splitter: Splitter) -> None:
    jobs = {name: await accepted(gateway, document) for name, (document, _) in FAILED.items()}
    await splitter.run()
    told = {}
    for name, job_id in jobs.items():
        _, status = await gateway.ask("GET", f"/batch-status/{job_id}")
        assert status["status"] == "failed"
        told[name] = status["reason"]
    assert told == {name: sentence for name, (_, sentence) in FAILED.items()}


async def test_a_page_that_cannot_be_rendered_costs_that_page(gateway: Gateway, splitter: Splitter) -> None:
    jobs = {name: await accepted(gateway, document) for name, (document, _) in PDF_PAGES.items()}
    await splitter.run()
    assert {name: await ends(gateway, job_id) for name, job_id in jobs.items()} == {
        name: expected for name, (_, expected) in PDF_PAGES.items()
    }


async def test_a_page_that_takes_too_long_costs_that_page(gateway: Gateway) -> None:
    job_id = await accepted(gateway, odd.slow())
    async with splitting(gateway, timeout_s=3) as splitter:
        await splitter.run()
    assert await ends(gateway, job_id) == ["The page can't be rendered: it takes longer than 3 s.", READY]


async def test_page_images_of_every_sort_are_ready_blank_or_told_as_gaps(gateway: Gateway, splitter: Splitter) -> None:
    images = [base64.b64encode(image).decode() for image, _ in PAGE_IMAGES.values()]
    _, answer = await gateway.ask("POST", IMAGES, json={"images_base64": images}, headers=JSON)
    await splitter.run()
    found = await ends(gateway, answer["job_id"])
    assert dict(zip(PAGE_IMAGES, found, strict=True)) == {name: end for name, (_, end) in PAGE_IMAGES.items()}
    _, status = await gateway.ask("GET", f"/batch-status/{answer['job_id']}")
    assert (status["pages"]["blank"], status["pages"]["failed"]) == (2, 4)


async def test_of_5000_pages_the_last_ones_are_rendered_like_the_first(gateway: Gateway, splitter: Splitter) -> None:
    job_id = await accepted(gateway, pages.pdf(5000), "?pages=1,2500,4999-5000&narrate=false")
    await splitter.run()
    assert await ends(gateway, job_id) == [READY] * 4
    job = await gateway.app.jobs.get(f"local/{job_id}")
    assert job is not None
    assert [page.page for page in await gateway.app.jobs.pages(job, range(4))] == [1, 2500, 4999, 5000]


async def test_pages_asked_for_beyond_the_end_fail_the_job_with_both_numbers(
    gateway: Gateway, splitter: Splitter
) -> None:
    job_id = await accepted(gateway, pages.pdf(3), "?pages=2,7-9")
    await splitter.run()
    _, status = await gateway.ask("GET", f"/batch-status/{job_id}")
    assert (status["status"], status["reason"]) == (
        "failed",
        "Page 9 was asked for, but the PDF has 3 pages: ask for pages up to that.",
    )

"""The splitter's handlers: real documents, a real render process, blobs in a temporary folder."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from PIL import Image

from services.splitter import handler
from services.splitter.orders import Look
from services.splitter.rendering import Rendering, rendering
from shared import blobs
from shared.blobs import Blobs
from shared.errors import Gone, Refused
from shared.events import BatchRequested, DocSubmitted
from shared.outcomes import Planned, Rendered, RenderedPage
from shared.records import Job
from tests import pages

LOOK = Look(dpi=40, quality=80, max_side=400, keep_side=2000, keep_bytes=20_000_000)
JOB = Job(
    ref="local/j1",
    run="r1",
    status="queued",
    kind="pdf",
    source="u1",
    fingerprint="f",
    batch_size=25,
    created_ms=0,
)
SUBMITTED = DocSubmitted(job="local/j1", run="r1")
FIRST_BATCH = BatchRequested(job="local/j1", run="r1", batch=0)


class Splitter:
    """Handlers that are wired as in `__main__`, but for the job, which the test names."""

    def __init__(self, store: Blobs, renderer: Rendering) -> None:
        self.store = store
        self.renderer = renderer
        self.put = store.put
        self.job: Job | None = None

    async def holds(self, *files: bytes, kind: str = "pdf", pages: int = 0, **changes: Any) -> None:
        """A job of these uploaded files."""
        self.job = msgspec.structs.replace(JOB, kind=kind, pages=pages, **changes)
        names = ["source.pdf"] if kind == "pdf" else [f"{ordinal:05}" for ordinal in range(len(files))]
        for name, data in zip(names, files, strict=True):
            await self.store.put(blobs.upload("u1", name), data)

    async def _known(self, ref: str) -> Job | None:
        return self.job if self.job is not None and self.job.ref == ref else None

    async def plan(self, *, max_pages: int = 100) -> Planned:
        return await handler.plan(
            SUBMITTED,
            job=self._known,
            local=self.store.local,
            count_pages=self.renderer.count_pages,
            max_pages=max_pages,
        )

    def render(self, fact: BatchRequested = FIRST_BATCH) -> AsyncGenerator[Rendered, None]:
        return handler.render(
            fact,
            job=self._known,
            local=self.store.local,
            render_page=self.renderer.render_page,
            take_image=self.renderer.take_image,
            put=self.put,
            ahead=4,
        )

    async def rendered(self, fact: BatchRequested = FIRST_BATCH) -> list[RenderedPage]:
        return sorted([page async for report in self.render(fact) for page in report.pages], key=lambda p: p.ordinal)


@pytest.fixture
async def splitter(tmp_path: Path) -> AsyncIterator[Splitter]:
    async with rendering(LOOK, processes=1, timeout_s=60) as renderer:
        yield Splitter(Blobs(f"file://{tmp_path}"), renderer)


def tiff() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 100), "navy").save(out, "TIFF")
    return out.getvalue()


# Planning ------------------------------------------------------------------------------------------------------------


async def test_the_pages_of_a_pdf_are_counted(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(12))
    assert await splitter.plan() == Planned(pages=12)


async def test_uploaded_page_images_are_counted_already(splitter: Splitter) -> None:
    await splitter.holds(kind="images", pages=7)
    assert await splitter.plan() == Planned(pages=7)


async def test_a_file_that_is_no_pdf_is_refused_in_a_sentence(splitter: Splitter) -> None:
    await splitter.holds(b"Dear Sir or Madam")
    with pytest.raises(Refused, match="can't be opened as a PDF"):
        await splitter.plan()


async def test_a_pdf_with_more_pages_than_allowed_is_refused(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(2).replace(b"/Count 2 ", b"/Count 900000 "))
    with pytest.raises(Refused, match="has 900000 pages; MAX_PAGES allows 100"):
        await splitter.plan()


@pytest.mark.parametrize(("selection", "planned"), [("", None), ("1-3", 3), ("1-4", None)])
async def test_a_job_gets_no_more_pages_than_it_was_promised_to_have(
    splitter: Splitter, selection: str, planned: int | None
) -> None:
    await splitter.holds(pages.pdf(4), max_pages=3, selection=selection)
    if planned is None:
        with pytest.raises(Refused, match="4 pages of the PDF are asked for; the limits of its API key allowed 3"):
            await splitter.plan()
    else:
        assert await splitter.plan() == Planned(pages=planned)


async def test_of_a_selection_only_the_pages_asked_for_are_counted(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(12), selection="2-3,12")
    assert await splitter.plan() == Planned(pages=3)


@pytest.mark.parametrize(("count", "told"), [(2, "has 2 pages"), (1, "has 1 page:")])
async def test_a_selection_beyond_the_end_is_refused_with_both_numbers(
    splitter: Splitter, count: int, told: str
) -> None:
    await splitter.holds(pages.pdf(count), selection="1,5-80")
    with pytest.raises(Refused, match=f"^Page 80 was asked for, but the PDF {told}"):
        await splitter.plan()


@pytest.mark.parametrize("changes", [{"run": "r2"}, {"status": "cancelled"}, {"ref": "local/other"}])
async def test_work_that_nobody_wants_any_more_is_dropped(splitter: Splitter, changes: dict[str, str]) -> None:
    await splitter.holds(pages.pdf(1), pages=1, **changes)
    with pytest.raises(Gone):
        await splitter.plan()
    with pytest.raises(Gone):
        await anext(splitter.render())


# Rendering -----------------------------------------------------------------------------------------------------------


async def test_every_page_of_a_batch_is_stored_and_reported_once(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(30), pages=30)
    found = await splitter.rendered(BatchRequested(job="local/j1", run="r1", batch=1))
    assert [(page.ordinal, page.page) for page in found] == [(ordinal, ordinal + 1) for ordinal in range(25, 30)]
    for page in found:
        assert page.image == blobs.page_image("local/j1", "r1", page.ordinal)
        assert (await splitter.store.get(page.image)).startswith(b"\xff\xd8\xff")
        assert pages.said(page.page, of=30) in (await splitter.store.get(page.text)).decode()


async def test_the_first_page_is_reported_before_the_others_are_made(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(25), pages=25)
    reports = [report async for report in splitter.render()]
    assert len(reports[0].pages) < 5
    assert len(reports) >= 5
    assert [report.last for report in reports] == [False] * (len(reports) - 1) + [True]


async def test_a_batch_of_one_page_has_one_report(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(1), pages=1)
    [report] = [report async for report in splitter.render()]
    assert report.last


async def test_a_blank_page_has_no_text(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(2, blank={2}), pages=2)
    first, second = await splitter.rendered()
    assert (bool(first.text), first.blank) == (True, False)
    assert (bool(second.image), second.text, second.blank) == (True, "", True)


async def test_of_a_selection_only_its_pages_are_made_under_their_own_numbers(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(9), pages=4, selection="2-3,7,9")
    found = await splitter.rendered()
    assert [(page.ordinal, page.page) for page in found] == [(0, 2), (1, 3), (2, 7), (3, 9)]
    for page in found:
        assert pages.said(page.page, of=9) in (await splitter.store.get(page.text)).decode()


async def test_a_page_that_cannot_be_rendered_is_reported_as_failed(splitter: Splitter) -> None:
    await splitter.holds(re.sub(rb"(/Kids \[\d+ 0 R) \d", rb"\1 0", pages.pdf(3)), pages=3)
    first, second, third = await splitter.rendered()
    assert (second.image, second.failed) == ("", "The page is damaged and can't be rendered.")
    assert first.image
    assert third.image


async def test_uploaded_images_that_models_take_are_not_touched(splitter: Splitter) -> None:
    uploads = [pages.page_image(number, kind=kind) for number, kind in enumerate(get_args(pages.Kind), 1)]
    await splitter.holds(*uploads, kind="images", pages=3)
    found = await splitter.rendered()
    assert [page.image for page in found] == [blobs.upload("u1", f"{ordinal:05}") for ordinal in range(3)]
    assert [await splitter.store.get(page.image) for page in found] == uploads


async def test_other_uploaded_images_become_jpegs_and_broken_ones_fail(splitter: Splitter) -> None:
    await splitter.holds(tiff(), b"no image", kind="images", pages=2)
    converted, broken = await splitter.rendered()
    assert converted.image == blobs.page_image("local/j1", "r1", 0)
    assert (await splitter.store.get(converted.image)).startswith(b"\xff\xd8\xff")
    assert broken.failed == "The uploaded file is not an image of a known kind."


async def test_an_image_that_was_never_uploaded_fails_alone(splitter: Splitter) -> None:
    await splitter.holds(tiff(), kind="images", pages=2)
    first, second = await splitter.rendered()
    assert first.image
    assert "no longer in the blob store" in second.failed


async def test_a_batch_that_is_cancelled_ends_at_once_and_the_next_one_is_rendered(splitter: Splitter) -> None:
    await splitter.holds(pages.pdf(25), pages=25)
    begun = asyncio.Event()

    async def work() -> None:
        async with aclosing(splitter.render()) as reports:
            async for _ in reports:
                begun.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(list((splitter.store.root / "jobs").rglob("*.jpg"))) < 25
    assert len(await splitter.rendered()) == 25


async def test_a_full_disk_is_no_gap(splitter: Splitter) -> None:
    async def put(key: str, data: bytes) -> None:
        raise OSError(28, "No space left on device", key)

    await splitter.holds(pages.pdf(3), pages=3)
    splitter.put = put
    with pytest.raises(OSError, match="No space left"):
        await splitter.rendered()

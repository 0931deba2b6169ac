"""The splitter: a submitted document's pages are counted; a requested batch is made into page images."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from functools import partial
from pathlib import Path

from services.splitter.groups import in_groups
from services.splitter.orders import Picture
from shared import blobs
from shared.errors import Refused
from shared.events import BatchRequested, DocSubmitted
from shared.outcomes import Planned, Rendered, RenderedPage
from shared.records import Job, wanted
from shared.selection import Selection

GROUP_PAGES = 4  # a report is one ledger script: 7 for a batch of 25
GROUP_WITHIN_S = 0.1  # where pages are slow to render, those that are ready don't wait for the others

GetJob = Callable[[str], Awaitable[Job | None]]
Local = Callable[[str], AbstractAsyncContextManager[Path]]
Put = Callable[[str, bytes], Awaitable[None]]


async def plan(
    fact: DocSubmitted,
    *,
    job: GetJob,
    local: Local,
    count_pages: Callable[[Path], Awaitable[int]],
    max_pages: int,
) -> Planned:
    """The document's pages are known. Raises Refused where it can't be opened, has more pages than `max_pages`, or
    fewer than are asked for, or where more are asked for than the job's own limit; Gone where nobody wants it now.
    """
    known = wanted(await job(fact.job), fact)
    if known.kind == "images":
        return Planned(pages=known.pages)
    async with local(_pdf(known)) as path:
        pages = await count_pages(path)
    if pages > max_pages:
        # A PDF states its number of pages, and may state any: 1 kB could ask for a million of them.
        raise Refused(f"The PDF has {pages} pages; MAX_PAGES allows {max_pages}. Split it and submit the parts.")
    asked = Selection.parse(known.selection)
    if asked.highest > pages:
        raise Refused(f"Page {asked.highest} was asked for, but the PDF has {_pages(pages)}: ask for pages up to that.")
    count = asked.count(pages)
    if known.max_pages and count > known.max_pages:
        raise Refused(
            f"{_pages(count)} of the PDF are asked for; the limits of its API key allowed {known.max_pages} when it "
            "was submitted. Ask for fewer pages, or submit it in parts."
        )
    return Planned(pages=count)


async def render(
    fact: BatchRequested,
    *,
    job: GetJob,
    local: Local,
    render_page: Callable[[Path, int], Awaitable[Picture]],
    take_image: Callable[[Path], Awaitable[Picture]],
    put: Put,
    ahead: int,
) -> AsyncGenerator[Rendered, None]:
    """Pages are reported as they are ready: the first alone, so that a model can read it while others are made.

    `ahead`: pages in the works at a time. A page that can't be rendered is reported as failed, and why; one on which
    nothing stands, as blank. Raises Gone where nobody wants the pages now, RetryLater where no render process starts.
    """
    known = wanted(await job(fact.job), fact)
    ordinals = known.batch_ordinals(fact.batch)
    left = len(ordinals)
    async with AsyncExitStack() as files:
        if known.kind == "pdf":
            path = await files.enter_async_context(local(_pdf(known)))
            make = partial(_pdf_page, job=known, path=path, render_page=render_page, put=put)
        else:
            make = partial(_image_page, job=known, local=local, take_image=take_image, put=put)
        groups = in_groups(make, ordinals, ahead=ahead, most=GROUP_PAGES, within_s=GROUP_WITHIN_S)
        async with aclosing(groups):
            async for group in groups:
                left -= len(group)
                yield Rendered(pages=sorted(group, key=lambda page: page.ordinal), last=not left)


async def _pdf_page(
    ordinal: int, *, job: Job, path: Path, render_page: Callable[[Path, int], Awaitable[Picture]], put: Put
) -> RenderedPage:
    page = job.page_of(ordinal)
    try:
        picture = await render_page(path, page - 1)
    except Refused as error:
        return RenderedPage(ordinal=ordinal, page=page, failed=str(error))
    return await _stored(picture, ordinal, job=job, put=put)


async def _image_page(
    ordinal: int, *, job: Job, local: Local, take_image: Callable[[Path], Awaitable[Picture]], put: Put
) -> RenderedPage:
    page = job.page_of(ordinal)
    uploaded = blobs.upload(job.source, f"{page - 1:05}")
    try:
        async with local(uploaded) as path:
            picture = await take_image(path)
    except Refused as error:
        return RenderedPage(ordinal=ordinal, page=page, failed=str(error))
    if not picture.jpeg:
        return RenderedPage(ordinal=ordinal, page=page, image=uploaded, blank=picture.blank)
    return await _stored(picture, ordinal, job=job, put=put)


async def _stored(picture: Picture, ordinal: int, *, job: Job, put: Put) -> RenderedPage:
    image = blobs.page_image(job.ref, job.run, ordinal)
    await put(image, picture.jpeg)
    text = ""
    if picture.text:
        text = blobs.page_text(job.ref, job.run, ordinal)
        await put(text, picture.text.encode())
    return RenderedPage(ordinal=ordinal, page=job.page_of(ordinal), image=image, text=text, blank=picture.blank)


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"


def _pdf(job: Job) -> str:
    return blobs.upload(job.source, "source.pdf")

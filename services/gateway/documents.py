"""GET /documents/{id}: a document's result, as JSON that streams out page by page, or as a report.

Memory does not grow with the document: pages are fetched WINDOW at a time, and a slow reader slows the fetching down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from services.gateway import api, report, status
from services.gateway.uploads import storing
from shared.jobs import Jobs
from shared.records import TERMINAL, BatchRecord, Job, PageRecord, usage
from shared.results import BatchSummary, DocumentSummary, PageAnalysis

WINDOW = 32  # blobs that are read at once: enough to hide their latency, little enough to hold
LOST = "Its result is no longer in the blob store."

Get = Callable[[str], Awaitable[bytes]]
Result = TypeVar("Result", PageAnalysis, BatchSummary, DocumentSummary)


async def as_json(job: Job, jobs: Jobs, get: Get, *, paused: str | None = None) -> AsyncGenerator[bytes, None]:
    """The result, in pieces that make up one JSON object. `get` answers a blob or raises FileNotFoundError.

    `paused`: why the job can't go on now.

    Raises Problem (503) where the blob store can't be read, and redis' errors.
    """
    yield msgspec.json.encode(head(job, paused=paused))[:-1] + b',"pages":['
    for first in range(0, job.pages, WINDOW):
        pages = await _pages(job, await jobs.pages(job, _ordinals(job, first)), get)
        yield (b"," if first else b"") + b",".join(msgspec.json.encode(page) for page in pages)
    yield b'],"batches":['
    records = await jobs.batches(job)
    for first in range(0, len(records), WINDOW):
        batches = await _batches(job, records[first : first + WINDOW], jobs, get)
        yield (b"," if first else b"") + b",".join(msgspec.json.encode(batch) for batch in batches)
    tail = {
        "summary": await _read(job.summary, DocumentSummary, get),
        "gaps": status.gap_list(await jobs.gaps(job)),
        "usage": usage(job),
        "audio": job.audio,
        "audio_reason": job.audio_reason or None,
    }
    yield b"]," + msgspec.json.encode(tail)[1:]


async def as_markdown(job: Job, jobs: Jobs, get: Get) -> str:
    """The result as a report. It holds the summaries, not the pages. Raises as `as_json` does."""
    records = await jobs.batches(job)
    batches: list[api.Batch] = []
    for first in range(0, len(records), WINDOW):
        batches += await _batches(job, records[first : first + WINDOW], jobs, get)
    return report.markdown(
        job,
        summary=await _read(job.summary, DocumentSummary, get),
        batches=batches,
        gaps=status.gap_list(await jobs.gaps(job)),
    )


def head(job: Job, *, paused: str | None) -> api.DocumentHead:
    """What is said before the pages."""
    return api.DocumentHead(
        job_id=job.id,
        status=job.status,
        reason=job.reason or None,
        paused=paused,
        total_pages=job.pages,
        created_at=api.moment(job.created_ms),
        started_at=api.moment(job.started_ms),
        ended_at=api.moment(job.ended_ms),
    )


def page(job: Job, record: PageRecord, analysis: PageAnalysis | None) -> api.Page:
    """One page as clients see it. Pure. `analysis`: what was read, None where there is nothing or it was lost."""
    if analysis is not None:
        return api.Page(
            page=record.page,
            status="done",
            cached=record.cached,
            blank=record.blank,
            **msgspec.structs.asdict(analysis),
        )
    if record.blob:
        return api.Page(page=record.page, status="failed", reason=LOST)
    if record.reason:
        return api.Page(page=record.page, status="failed", reason=record.reason)
    if record.blank:
        return api.Page(page=record.page, status="done", blank=True, text="", kind="blank")
    if job.status in TERMINAL:
        return api.Page(page=record.page, status="cancelled")
    return api.Page(page=record.page, status="reading" if record.reading else "waiting")


def batch(record: BatchRecord, summary: BatchSummary | None, *, first_page: int, last_page: int) -> api.Batch:
    """One batch as clients see it. Pure."""
    if summary is None:
        reason = record.failed or (LOST if record.blob else None)
        return api.Batch(batch=record.batch, first_page=first_page, last_page=last_page, reason=reason)
    return api.Batch(
        batch=record.batch,
        first_page=first_page,
        last_page=last_page,
        title=summary.title,
        summary=" ".join(statement.text for statement in summary.statements),
        statements=summary.statements,
    )


def _ordinals(job: Job, first: int) -> range:
    return range(first, min(first + WINDOW, job.pages))


async def _pages(job: Job, records: Sequence[PageRecord], get: Get) -> list[api.Page]:
    found = await asyncio.gather(*(_read(record.blob, PageAnalysis, get) for record in records))
    return [page(job, record, analysis) for record, analysis in zip(records, found, strict=True)]


async def _batches(job: Job, records: Sequence[BatchRecord], jobs: Jobs, get: Get) -> list[api.Batch]:
    spans = [job.batch_ordinals(record.batch) for record in records]
    ends = await jobs.pages(job, [ordinal for span in spans for ordinal in (span[0], span[-1])])
    found = await asyncio.gather(*(_read(record.blob, BatchSummary, get) for record in records))
    return [
        batch(record, summary, first_page=ends[2 * place].page, last_page=ends[2 * place + 1].page)
        for place, (record, summary) in enumerate(zip(records, found, strict=True))
    ]


async def _read(key: str, kind: type[Result], get: Get) -> Result | None:
    """The result in this blob; None for no key, and for a blob that is gone."""
    if not key:
        return None
    try:
        with storing():
            return msgspec.json.decode(await get(key), type=kind)
    except FileNotFoundError:
        return None

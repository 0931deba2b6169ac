"""A job's counters, told as its status. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from services.gateway import api
from shared.records import TERMINAL, Job, PageRecord, usage

PAGES, BATCHES = 90, 8
"""Shares of the progress; the rest is the document's summary. In this order each only grows."""


def answer(
    job: Job, gaps: list[PageRecord], *, seconds_left: float | None, now_ms: int, paused: str | None = None
) -> api.BatchStatus:
    """What GET /batch-status says. `seconds_left`: see `pace.seconds_left`; `paused`: see `waiting.Waiting`.

    While the fleet is paused nobody knows when the job will be over.
    """
    seconds_left = None if paused else seconds_left
    left = None if seconds_left is None else math.ceil(seconds_left)
    return api.BatchStatus(
        job_id=job.id,
        status=job.status,
        progress=progress(job),
        current_page=job.ended_pages,
        total_pages=job.pages,
        batches=batches(job),
        estimated_seconds_remaining=left,
        estimated_completion_iso=None if left is None else _time(now_ms) + timedelta(seconds=left),
        stage=stage(job),
        pages=api.PageCounts(done=job.done, failed=job.failed, cached=job.cached, blank=job.blank),
        gaps=gap_list(gaps),
        usage=usage(job),
        audio=job.audio,
        audio_reason=job.audio_reason or None,
        reason=job.reason or None,
        paused=paused,
        created_at=api.moment(job.created_ms),
        started_at=api.moment(job.started_ms),
        ended_at=api.moment(job.ended_ms),
    )


def progress(job: Job) -> int:
    """0 to 100, never less than before; 100 for a job that has its result, and for no other."""
    if job.status in ("completed", "partial"):
        return 100
    if not job.pages or not job.batches:
        return 0
    summarised = job.batches_done + job.batches_failed
    return min(99, (PAGES * job.ended_pages) // job.pages + (BATCHES * summarised) // job.batches)


def batches(job: Job) -> api.BatchCounts:
    """Batches begin in page order: as many are active as the ended pages reach into and are not summarised."""
    over = job.batches_done + job.batches_failed
    active = 0
    if job.status in ("processing", "summarizing") and over < job.batches:
        reached = math.ceil((job.ended_pages + 1) / job.batch_size)
        active = min(max(reached - over, 1), job.batches - over)
    return api.BatchCounts(total=job.batches, completed=job.batches_done, active=active, failed=job.batches_failed)


def stage(job: Job) -> api.Stage:
    """What is being done for the job now."""
    if job.status in TERMINAL:
        return "ended"
    if job.status == "summarizing":
        return "summarizing"
    if job.status == "processing":
        return "reading"
    return "waiting" if job.pages and job.batches else "splitting"


def gap_list(records: list[PageRecord]) -> list[api.Gap]:
    """Gaps as clients see them, in page order."""
    return [api.Gap(page=record.page, reason=record.reason) for record in records]


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)

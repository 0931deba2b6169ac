"""The answers of the HTTP API, field by field. Times are RFC 3339 in UTC with `Z`; null: not known, or not yet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from shared.fleet import ServiceStats, StreamStats
from shared.outcomes import Usage
from shared.pauses import LimitStats
from shared.records import AudioStatus, PageStatus, Status
from shared.results import Cited, Figure, PageKind, Table

Strategy = Literal["batch_parallel", "single_batch"]
Stage = Literal["splitting", "waiting", "reading", "summarizing", "ended"]
ModelState = Literal["up", "paused", "down", "stopped", "unknown"]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """202: the document is on disk and queued. Null: a PDF's pages are counted after the answer; ask for its status."""

    status: Literal["queued"] = "queued"
    job_id: str
    processing_strategy: Strategy | None
    batch_size: int
    estimated_batches: int | None
    estimated_completion_minutes: int | None
    status_endpoint: str
    cancel_endpoint: str


class BatchCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`active`: begun and not summarised. `failed`: without a summary for good."""

    total: int
    completed: int
    active: int
    failed: int


class PageCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`cached` and `blank` pages are among the `done`."""

    done: int
    failed: int
    cached: int
    blank: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A page that could not be read, and why."""

    page: int
    reason: str


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. `progress`: 0 to 100, 100 only at the end. `current_page`: pages that have ended.

    `paused`: why nothing of it can go on now (an outage of the model, a refused key), a sentence; else null.
    """

    job_id: str
    status: Status
    progress: int
    current_page: int
    total_pages: int
    batches: BatchCounts
    estimated_seconds_remaining: int | None
    estimated_completion_iso: datetime | None
    stage: Stage
    pages: PageCounts
    gaps: list[Gap]
    usage: Usage
    audio: AudioStatus
    audio_reason: str | None
    reason: str | None
    paused: str | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel kept from happening."""

    pages: int
    batches: int


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: the job's real one. `cancelled`: whether it is `cancelled`."""

    job_id: str
    status: Status
    cancelled: bool
    stopped: Stopped
    message: str


class DocumentHead(msgspec.Struct, frozen=True, kw_only=True):
    """What the result says of the job, before its pages. `paused`: as in BatchStatus."""

    job_id: str
    status: Status
    reason: str | None
    paused: str | None
    total_pages: int
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the result; what was read is null until the page is done."""

    page: int
    status: PageStatus
    cached: bool = False
    blank: bool = False
    reason: str | None = None
    text: str | None = None
    summary: str | None = None
    headings: list[str] | None = None
    key_points: list[str] | None = None
    tables: list[Table] | None = None
    figures: list[Figure] | None = None
    language: str | None = None
    kind: PageKind | None = None
    confidence: float | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of the result; `summary` is its statements as one text. `reason`: why it has none."""

    batch: int
    first_page: int
    last_page: int
    title: str | None = None
    summary: str | None = None
    statements: list[Cited] | None = None
    reason: str | None = None


class BatchStats(msgspec.Struct, frozen=True, kw_only=True):
    """What waits where, who works, and how fast. `jobs`: those that have not ended, by status."""

    streams: list[StreamStats]
    services: list[ServiceStats]
    pages_per_second: float
    models: list[LimitStats]
    jobs: dict[str, int]


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """`model` is `unknown` until it was asked."""

    redis: Literal["up", "down"]
    blobs: Literal["up", "down"]
    model: ModelState


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`workers`: live ones by service. `durability`: what an answer is worth if Redis crashes, a sentence.

    `problems`: a sentence for each thing that ails.
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    workers: dict[str, int]
    dependencies: Dependencies
    durability: str
    problems: list[str]


class HealthInBrief(msgspec.Struct, frozen=True, kw_only=True):
    """What those are told who show no API key where one is asked for."""

    status: Literal["healthy", "degraded", "unhealthy"]


def moment(ms: int) -> datetime | None:
    """Milliseconds since 1970 as a time; None for 0."""
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None

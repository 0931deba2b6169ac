"""What the HTTP API answers, as far as the command reads it. Unknown fields are ignored, missing ones have defaults."""

from __future__ import annotations

import msgspec

from shared.outcomes import Usage
from shared.records import TERMINAL
from shared.results import DocumentSummary


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """202 of a submission."""

    job_id: str


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    total: int = 0
    completed: int = 0
    active: int = 0
    failed: int = 0


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    done: int = 0
    failed: int = 0
    cached: int = 0
    blank: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    page: int
    reason: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """GET /batch-status/{job_id}."""

    job_id: str
    status: str
    progress: int = 0
    current_page: int = 0
    """Pages that have ended."""
    total_pages: int = 0
    """0 until they are counted."""
    batches: Batches = Batches()
    estimated_seconds_remaining: float | None = None
    pages: Pages = Pages()
    gaps: list[Gap] = []
    usage: Usage = Usage()
    reason: str | None = None
    audio: str = "none"
    """none, pending, speaking, ready, failed."""
    audio_reason: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """GET /documents/{job_id}, without its pages."""

    summary: DocumentSummary | None = None


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What waits at one stage."""

    stream: str
    backlog: int = 0
    waiting: int = 0
    in_flight: int = 0
    oldest_age_s: float = 0
    dead: int = 0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    service: str
    workers: int = 0
    slots: int = 0
    busy: int = 0


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """`rpm` and `tpm`: requests and tokens a minute; 0: no limit is known."""

    model: str
    rpm: int = 0
    tpm: int = 0
    state: str = ""
    why: str = ""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """GET /batch-stats."""

    streams: list[Stream] = []
    services: list[Service] = []
    pages_per_second: float = 0
    models: list[Model] = []
    jobs: dict[str, int] = {}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457."""

    title: str = ""
    detail: str = ""

"""What the fleet knows of a job, as typed structs. Pure: `shared/jobs.py` reads them from Redis.

Terms: `ordinal` is a page's 0-based place among the pages asked for, `page` its 1-based number in the document.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.errors import Gone
from shared.events import Fact
from shared.outcomes import Usage
from shared.selection import Selection

Status = Literal["queued", "processing", "summarizing", "completed", "partial", "failed", "cancelled"]
PageStatus = Literal["waiting", "reading", "done", "failed", "cancelled"]
AudioStatus = Literal["none", "pending", "speaking", "ready", "failed"]
TERMINAL: frozenset[str] = frozenset({"completed", "partial", "failed", "cancelled"})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its hash holds it. Counters are exact at every moment; times are ms since 1970 on the server's clock."""

    ref: str
    """`<tenant>/<job_id>`."""
    run: str
    rev: int = 1
    status: Status
    reason: str = ""
    """Why it failed or is partial, a sentence."""
    kind: Literal["pdf", "images"]
    source: str
    """Upload id; blobs `uploads/<source>/…`."""
    fingerprint: str
    """Hash of the content and the options: the same id with another fingerprint is a conflict."""
    user: str = ""
    batch_size: int
    pages: int = 0
    """Pages asked for; 0 until they are counted."""
    max_pages: int = 0
    """As many may be asked for, by the limits of whoever submitted it; 0: no limit of its own."""
    batches: int = 0
    done: int = 0
    failed: int = 0
    cached: int = 0
    blank: int = 0
    batches_done: int = 0
    batches_failed: int = 0
    created_ms: int
    started_ms: int = 0
    """When the first page was released to a reader; 0 before."""
    ended_ms: int = 0
    summary: str = ""
    """Blob key of the document's summary."""
    narrate: bool = False
    """Whether the summary is to be spoken."""
    audio: AudioStatus = "none"
    audio_reason: str = ""
    """Why there is no narration although one was wanted, a sentence."""
    audio_blob: str = ""
    """Blob key of the narration, an MP3."""
    timeline: str = ""
    """Blob key of its timeline."""
    selection: str = ""
    """Pages asked for, such as `1-50,80`; empty: all."""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    """Calls whose price is not known: `cost_usd` leaves them out."""

    @property
    def tenant(self) -> str:
        return self.ref.partition("/")[0]

    @property
    def id(self) -> str:
        return self.ref.partition("/")[2]

    @property
    def ended_pages(self) -> int:
        return self.done + self.failed

    def page_of(self, ordinal: int) -> int:
        """The number in the document of the page that is `ordinal`th among those asked for, 0-based."""
        return Selection.parse(self.selection).page(ordinal)

    def batch_ordinals(self, batch: int) -> range:
        """Ordinals of a batch, in order."""
        return range(batch * self.batch_size, min((batch + 1) * self.batch_size, self.pages))


def wanted(job: Job | None, fact: Fact) -> Job:
    """The job that a fact is of. Raises Gone where nobody wants its work now."""
    if job is None or job.run != fact.run or job.status in TERMINAL:
        raise Gone(f"job {fact.job} has ended, or its run {fact.run} was replaced")
    return job


class PageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One page: read (`blob` set), a gap (`reason` set), or still open (neither)."""

    ordinal: int
    page: int
    blob: str = ""
    reason: str = ""
    cached: bool = False
    blank: bool = False
    reading: bool = False
    """Released to the readers and not yet ended."""


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One batch: summarised (`blob` set), given up (`failed` says why), or still open."""

    batch: int
    blob: str = ""
    failed: str = ""


def usage(job: Job) -> Usage:
    """What the job used so far; the cost is None where no call of it has a known price."""
    priced = job.calls > job.unpriced or not job.calls
    return Usage(
        calls=job.calls,
        tokens_in=job.tokens_in,
        tokens_out=job.tokens_out,
        cost_usd=job.cost_usd if priced else None,
    )

"""Every fact that travels through the fleet: one frozen struct each. START HERE.

A fact says what has happened. One stream carries one type of fact and is read by one consumer group. On the wire a fact
is flat text that a person can read with `redis-cli XRANGE <stream> - +`; an entry stays under 512 bytes, and big things
are blobs whose keys it carries.

Three numbers guard against the past: `run` (random, set at submit: an entry of another run is dropped), `round` (a
page's, +1 when it is asked again) and `rev` (a batch's and a job's, +1 when a retry touches it).
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What all facts have: whose they are, and what happened to this entry before."""

    stream: ClassVar[str]
    group: ClassVar[str]

    job: str
    """`<tenant>/<job_id>`: the job's name everywhere inside the fleet."""
    run: str
    attempts: int = 0
    """Tries that failed and count against MAX_ATTEMPTS."""
    crashes: int = 0
    """Workers that died with this entry in hand, as known when it was last put back."""

    @property
    def unit(self) -> str:
        """Names the piece of work; at most one live entry of a stream has it."""
        return self.job

    @property
    def cancelled_by(self) -> str:
        """What the cancel of this work names. A run that was cancelled never goes on."""
        return self.run

    def to_fields(self) -> dict[str, str]:
        """Flat text for XADD. Fields that hold their default are left out."""
        fields = {}
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                fields[field.name] = str(int(value)) if isinstance(value, bool) else str(value)
        return fields

    @classmethod
    def from_fields(cls, fields: dict[str, str]) -> Self:
        """Read an entry; unknown fields are ignored, so that an older release reads a newer one's facts.

        Raises msgspec.ValidationError when a field is missing or malformed.
        """
        return msgspec.convert(fields, cls, strict=False)


class DocSubmitted(Fact, frozen=True, kw_only=True):
    """gateway -> splitter. A document was accepted and lies in the blob store."""

    stream: ClassVar[str] = "doc.submitted"
    group: ClassVar[str] = "splitter"

    rev: int = 1


class BatchRequested(Fact, frozen=True, kw_only=True):
    """release -> splitter. It is this batch's turn to be made into page images."""

    stream: ClassVar[str] = "batches.requested"
    group: ClassVar[str] = "splitter"

    batch: int

    @property
    def unit(self) -> str:
        return f"{self.job}:{self.batch}"


class PageRequested(Fact, frozen=True, kw_only=True):
    """release -> page_worker. A page image is ready, and it is this page's turn to be read."""

    stream: ClassVar[str] = "pages.requested"
    group: ClassVar[str] = "page_worker"

    ordinal: int
    """0-based place among the pages asked for: the page's key."""
    page: int
    """1-based number in the document: the page's label."""
    round: int = 0
    image: str
    """Blob key of the page image."""
    text: str = ""
    """Blob key of the page's text layer, empty if it has none."""

    @property
    def unit(self) -> str:
        return f"{self.job}:{self.ordinal}"


class PageAnalyzed(Fact, frozen=True, kw_only=True):
    """page_worker, splitter -> aggregator. A page has ended: read, or a gap."""

    stream: ClassVar[str] = "pages.analyzed"
    group: ClassVar[str] = "aggregator"

    batch: int
    ordinal: int
    page: int
    round: int = 0
    rev: int = 1
    outcome: Literal["read", "gap"]
    last: bool = False
    """True where it was the last open page of its batch: the batch can be summarised."""

    @property
    def unit(self) -> str:
        return f"{self.job}:{self.ordinal}:{self.round}"


class BatchSummarized(Fact, frozen=True, kw_only=True):
    """aggregator -> aggregator. A batch has its summary, or is known to have none."""

    stream: ClassVar[str] = "batches.summarized"
    group: ClassVar[str] = "aggregator"

    batch: int
    rev: int = 1
    last: bool = False
    """True where it was the job's last open batch: the document can be summarised."""

    @property
    def unit(self) -> str:
        return f"{self.job}:{self.batch}:{self.rev}"


class DocSummarized(Fact, frozen=True, kw_only=True):
    """aggregator -> tts. A document has its summary, and its narration is wanted."""

    stream: ClassVar[str] = "doc.summarized"
    group: ClassVar[str] = "tts"

    rev: int = 1
    summary: str
    """Blob key of the summary."""

    @property
    def unit(self) -> str:
        return f"{self.job}:{self.rev}"

    @property
    def cancelled_by(self) -> str:
        return narration(self.run, self.rev)


def narration(run: str, rev: int) -> str:
    """What the cancel of a narration names: its job has ended, and may be retried in the same run."""
    return f"{run}:audio:{rev}"


FACTS: tuple[type[Fact], ...] = (
    DocSubmitted,
    BatchRequested,
    PageRequested,
    PageAnalyzed,
    BatchSummarized,
    DocSummarized,
)
"""In pipeline order. Each has a work stream, a group and a dead letter stream."""

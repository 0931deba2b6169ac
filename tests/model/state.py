"""The ledger as plain data: what the model of it keeps, and nothing of how a server keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.events import FACTS, Fact
from shared.records import TERMINAL
from shared.selection import Selection

STREAMS = tuple(fact.stream for fact in FACTS)


@dataclass
class Held:
    """An entry of a work stream. `owner` None: it waits."""

    fact: Fact
    owner: str | None = None


@dataclass
class Ring:
    """The batches of a job that have not been requested, in order."""

    run: str
    batches: list[int]


@dataclass
class Job:
    """A job. Whatever can be counted is counted, not stored."""

    ref: str
    run: str
    fingerprint: str
    size: int
    narrate: bool
    selection: str
    rev: int = 1
    status: str = "queued"
    pages: int = 0
    planned: bool = False
    rendered: dict[int, str] = field(default_factory=dict)
    """ordinal -> image; empty where the page is blank or could not be rendered."""
    read: dict[int, str] = field(default_factory=dict)
    """ordinal -> blob; empty where the page is blank."""
    gaps: dict[int, str] = field(default_factory=dict)
    """ordinal -> reason."""
    summaries: dict[int, tuple[str, str]] = field(default_factory=dict)
    """batch -> (blob, why it has none)."""
    batch_rev: dict[int, int] = field(default_factory=dict)
    """batch -> the job's rev that touched it last, where a retry did."""
    gates: set[str] = field(default_factory=set)
    calls: int = 0
    summary: str = ""
    audio: str = "none"
    silenced: bool = False
    """Its narration was stopped by a cancel."""

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def batches(self) -> int:
        return -(-self.pages // self.size) if self.planned else 0

    def ordinals(self, batch: int) -> range:
        return range(batch * self.size, min((batch + 1) * self.size, self.pages))

    def over(self, ordinal: int) -> bool:
        return ordinal in self.read or ordinal in self.gaps

    def all_over(self, batch: int) -> bool:
        return all(map(self.over, self.ordinals(batch)))

    def rev_of(self, batch: int) -> int:
        return self.batch_rev.get(batch, 1)

    def page(self, ordinal: int) -> int:
        return Selection.parse(self.selection).page(ordinal)


@dataclass
class State:
    """Everything. Streams hold entries by id; deferred units are true where they are due."""

    jobs: dict[str, Job] = field(default_factory=dict)
    streams: dict[str, dict[str, Held]] = field(default_factory=lambda: {stream: {} for stream in STREAMS})
    dead: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    deferred: dict[str, dict[str, bool]] = field(default_factory=lambda: {stream: {} for stream in STREAMS})
    bodies: dict[str, dict[str, Fact]] = field(default_factory=lambda: {stream: {} for stream in STREAMS})
    """What is deferred, and of pages also what is queued, by unit."""
    queue: set[str] = field(default_factory=set)
    """Units of pages that are ready."""
    named: dict[str, str] = field(default_factory=dict)
    """Unit -> id of the page's entry that came into the stream last, while it is there."""
    rings: dict[str, Ring] = field(default_factory=dict)
    crashes: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """job -> unit -> workers that died with it."""
    deaths: set[str] = field(default_factory=set)
    """Workers that died with something in hand."""
    garbage: set[str] = field(default_factory=set)
    """Ids of entries that are no facts."""
    renderers: int = 1

    born: list[Fact] = field(default_factory=list)
    """Facts that the last call appended by itself, not through release."""
    released: bool = False
    """The last call ended with release: what may move has moved."""

    def waiting(self, stream: str) -> int:
        return sum(held.owner is None for held in self.streams[stream].values())

"""The crash matrix as a table: what happens to which service at which of its points, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from tests.faults.traps import Trap

Fault = Literal["kill", "stop", "cancel", "lose", "disconnect", "withdraw"]
"""As `traps.Action`; `withdraw`: the job is cancelled by its user while somebody is at the point."""

SLOTS = 4
"""PAGE_CONCURRENCY of each page worker."""
VOICES = 2
"""TTS_CONCURRENCY of each narrator."""
BATCHES = 2
"""Of a document: summarised side by side."""
WORKERS = 2
PAGES = 8
LINGER_S = 1.2
"""How long a piece of work stays in hand for a renewal or the begin of a drain to meet it."""
HESITATES_S = 3.0
"""How long it stands at a point for a cancel to meet it there."""

IN_FLIGHT = {"page_worker": SLOTS + 1, "aggregator": BATCHES, "tts": VOICES}
"""Calls that a process may have in flight at once; the others make none."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`match`: what is in hand at the point."""

    service: str
    point: str
    match: str = ""
    fault: Fault

    def __str__(self) -> str:
        words = (self.service, self.point, self.match.strip("/"), self.fault)
        return " ".join(word for word in words if word).replace(" ", "-")

    @property
    def traps(self) -> list[Trap]:
        """Those to be set; the last one is the case's own."""
        if self.fault == "withdraw":
            return [self._trap("wait", seconds=HESITATES_S)]
        own = msgspec.structs.replace(self._trap("wait"), action=self.fault)
        if self.point == "mid_renewal":
            return [msgspec.structs.replace(self._recording("wait"), seconds=LINGER_S), own]
        if self.point == "mid_drain":
            return [msgspec.structs.replace(self._recording("term"), seconds=LINGER_S), own]
        return [own]

    def _trap(self, action: Literal["wait", "term"], *, seconds: float = 0) -> Trap:
        return Trap(service=self.service, point=self.point, match=self.match, action=action, seconds=seconds)

    def _recording(self, action: Literal["wait", "term"]) -> Trap:
        """What is in hand meanwhile is paid for, and not yet recorded."""
        return Trap(service=self.service, point="before_record", match=OUTCOMES[self.service], action=action)

    @property
    def extra(self) -> int:
        """Calls that it may cost: those that were in flight. Of one task its own; none where nobody forgets."""
        calls = IN_FLIGHT.get(self.service, 0)
        match self.fault:
            case "kill" | "stop":
                return calls
            case "withdraw":
                return WORKERS * SLOTS
            case "cancel":
                return min(calls, 1) if self.point in ("after_call", "after_blob") else 0
            case "lose" | "disconnect":
                return 0

    @property
    def ends(self) -> tuple[str, str]:
        """Status of the job, and of its narration."""
        if self.fault != "withdraw":
            return "completed", "ready"
        return ("completed", "failed") if self.service == "tts" else ("cancelled", "none")


OUTCOMES = {
    "splitter": "pages_rendered_last",
    "page_worker": "page_analyzed",
    "aggregator": "batch_summarized",
    "tts": "doc_narrated",
}
"""The script that records the outcome of a service's longest work."""

MATRIX = """
page_worker  mid_read              -                    kill stop lose disconnect
page_worker  after_claim           claimed              kill stop cancel disconnect withdraw
page_worker  before_call           -                    kill stop cancel disconnect withdraw
page_worker  after_call            -                    kill stop cancel disconnect withdraw
page_worker  after_blob            read/                kill stop cancel disconnect
page_worker  after_keep            -                    kill stop cancel disconnect
page_worker  before_record         page_analyzed        kill stop cancel lose disconnect withdraw
page_worker  after_record          page_analyzed        kill stop cancel lose disconnect
page_worker  mid_renewal           -                    kill stop lose disconnect
page_worker  mid_drain             -                    kill stop disconnect
splitter     mid_read              batches.requested    kill lose
splitter     before_record         plan                 kill stop cancel withdraw
splitter     after_record          plan                 kill lose
splitter     after_blob            pages/               kill stop
splitter     before_record         pages_rendered_last  kill cancel disconnect withdraw
splitter     after_record          pages_rendered_more  kill stop lose
splitter     after_record          pages_rendered_last  kill stop lose
splitter     mid_renewal           batches.requested    kill stop lose
splitter     mid_drain             batches.requested    kill stop disconnect
aggregator   mid_read              batches.summarized   kill lose
aggregator   after_record          noted                kill lose
aggregator   before_batch_summary  -                    kill stop cancel withdraw
aggregator   before_call           chat                 kill disconnect
aggregator   after_call            chat                 kill stop cancel withdraw
aggregator   after_blob            batches/             kill stop
aggregator   after_keep            -                    kill cancel
aggregator   before_record         batch_summarized     kill lose
aggregator   after_record          batch_summarized     kill stop lose
aggregator   before_summary        -                    kill stop cancel withdraw
aggregator   after_blob            summary              kill
aggregator   before_record         doc_summarized       kill stop disconnect withdraw
aggregator   after_record          doc_summarized       kill stop lose
aggregator   mid_renewal           pages.analyzed       kill stop lose
aggregator   mid_drain             pages.analyzed       kill stop disconnect
tts          mid_read              -                    kill lose
tts          after_record          doc_speaking         kill lose
tts          after_call            speech               kill stop cancel disconnect withdraw
tts          after_blob            speech/              kill cancel
tts          after_blob            timeline             kill stop
tts          before_record         doc_narrated         kill stop disconnect
tts          after_record          doc_narrated         kill stop lose
tts          mid_renewal           -                    kill stop lose
tts          mid_drain             -                    kill stop disconnect
gateway      after_blob            uploads/             kill stop
gateway      before_submit         -                    kill lose disconnect
gateway      after_submit          -                    kill stop lose disconnect
keeper       mid_round             -                    kill stop lose disconnect
"""

QUICK = """
page_worker  mid_drain             -                    kill
page_worker  after_call            -                    kill
page_worker  after_record          page_analyzed        lose
page_worker  mid_renewal           -                    stop
splitter     after_record          pages_rendered_more  kill
aggregator   before_batch_summary  -                    kill
tts          after_blob            speech/              cancel
aggregator   before_record         doc_summarized       disconnect
"""
"""Those of `make test`: each kind of fault, and the points that most depends on."""


def read(table: str) -> Iterator[Case]:
    """Service, point, what is in hand (`-`: anything), faults."""
    for line in table.strip().splitlines():
        service, point, match, *faults = line.split()
        for fault in faults:
            yield Case(
                service=service, point=point, match="" if match == "-" else match, fault=msgspec.convert(fault, Fault)
            )

"""The crash matrix as a table: what happens to which service at which of its points, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from tests.faults.traps import Action, Trap

Fault = Literal["kill", "stop", "cancel", "lose", "disconnect", "withdraw"]
"""As `traps.Action`; `withdraw`: the job is cancelled by its user while somebody is at the point."""

SLOTS = 4
"""PAGE_CONCURRENCY of each page worker."""
VOICES = 2
"""TTS_CONCURRENCY of each narrator."""
WORKERS = 2
BATCHES = 2
"""Of a document: summarised side by side."""
BATCH_SIZE = 5
"""More than the splitter reports at once."""
PAGES = BATCHES * BATCH_SIZE
LINGER_S = 1.2
"""How long a piece of work stays in hand for a renewal or the begin of a drain to meet it."""
HESITATES_S = 3.0
"""How long it stands at a point for a cancel to meet it there."""

IN_FLIGHT = {"page_worker": SLOTS + 1, "aggregator": BATCHES, "tts": VOICES}
"""Calls that a process may have in flight at once; the others make none."""


KEPT = frozenset({"after_keep", "before_record", "after_record"})
"""Points at which the answer to what is in hand will be found again."""
ALONE = frozenset({"doc_summarized", "doc_speaking", "timeline", "doc_narrated"})
"""What is in hand when its process makes no call and has none to come that could be lost."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`match`: what is in hand at the point; of renewals and drains, at which `point:match` it is meanwhile."""

    service: str
    point: str
    match: str = ""
    fault: Fault

    def __str__(self) -> str:
        words = (self.service, self.point, self.match.strip("/").replace(":", " "), self.fault)
        return " ".join(word for word in words if word).replace(" ", "-")

    @property
    def traps(self) -> list[Trap]:
        """Those to be set; the last one is the case's own."""
        action: Action = "wait" if self.fault == "withdraw" else self.fault
        if self.point not in ("mid_renewal", "mid_drain"):
            return [self._trap(self.point, action, match=self.match, seconds=HESITATES_S)]
        at, _, match = self.match.partition(":")
        stays = self._trap(at, "term" if self.point == "mid_drain" else "wait", match=match, seconds=LINGER_S)
        return [stays, self._trap(self.point, action)]

    def _trap(self, point: str, action: Action, *, match: str = "", seconds: float = 0) -> Trap:
        return Trap(service=self.service, point=point, match=match, action=action, seconds=seconds)

    @property
    def extra(self) -> int:
        """Calls that it may cost: those in flight, but for what is kept. A task's end costs its own, no more."""
        calls = 0 if self.match in ALONE else IN_FLIGHT.get(self.service, 0)
        match self.fault:
            case "kill" | "stop":
                return calls - 1 if calls and self.point in KEPT else calls
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


MATRIX = """
page_worker  mid_read              -                                  kill stop lose disconnect
page_worker  after_claim           claimed                            kill
page_worker  before_call           -                                  kill stop cancel disconnect withdraw
page_worker  after_call            -                                  kill stop cancel disconnect withdraw
page_worker  after_blob            read/                              kill cancel
page_worker  after_keep            -                                  kill stop cancel disconnect
page_worker  before_record         page_analyzed                      kill stop cancel disconnect withdraw
page_worker  after_record          page_analyzed                      kill stop cancel lose disconnect
page_worker  mid_renewal           before_record:page_analyzed        kill stop lose disconnect
page_worker  mid_drain             before_record:page_analyzed        kill stop disconnect
splitter     mid_read              -                                  kill lose
splitter     before_record         plan                               kill withdraw
splitter     after_record          plan                               kill lose
splitter     after_blob            pages/                             kill
splitter     before_record         pages_rendered_last                kill cancel disconnect
splitter     after_record          pages_rendered_more                kill stop lose
splitter     after_record          pages_rendered_last                lose
splitter     mid_renewal           before_record:pages_rendered_last  kill stop lose
splitter     mid_drain             before_record:pages_rendered_last  kill stop
aggregator   mid_read              -                                  lose
aggregator   after_record          noted                              lose
aggregator   before_batch_summary  -                                  kill stop cancel
aggregator   after_call            chat                               kill stop cancel withdraw
aggregator   after_keep            -                                  kill
aggregator   after_blob            batches/                           kill
aggregator   before_record         batch_summarized                   kill lose
aggregator   after_record          batch_summarized                   stop lose
aggregator   before_summary        -                                  kill withdraw
aggregator   before_record         doc_summarized                     kill stop disconnect withdraw
aggregator   after_record          doc_summarized                     kill lose
aggregator   mid_renewal           before_record:batch_summarized     kill stop
aggregator   mid_drain             before_record:batch_summarized     kill
tts          mid_read              -                                  lose
tts          after_record          doc_speaking                       lose
tts          after_call            speech                             kill stop cancel disconnect withdraw
tts          after_blob            speech/                            kill cancel
tts          after_blob            timeline                           kill
tts          before_record         doc_narrated                       kill disconnect
tts          after_record          doc_narrated                       kill lose
tts          mid_renewal           after_call:speech                  kill stop
tts          mid_renewal           before_record:doc_narrated         stop lose
tts          mid_drain             after_call:speech                  kill stop disconnect
gateway      after_blob            uploads/                           kill
gateway      before_submit         -                                  kill disconnect
gateway      after_submit          -                                  kill stop lose
keeper       mid_round             -                                  kill stop disconnect
"""

QUICK = """
page_worker  mid_drain             before_record:page_analyzed        kill
page_worker  after_call            -                                  kill
page_worker  after_record          page_analyzed                      lose
page_worker  mid_renewal           before_record:page_analyzed        stop
splitter     after_record          pages_rendered_more                kill
aggregator   before_batch_summary  -                                  kill
tts          after_blob            speech/                            cancel
aggregator   before_record         doc_summarized                     disconnect
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

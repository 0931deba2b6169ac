"""What goes into the ledger from outside, and what it answers: submissions and cancels."""

from __future__ import annotations

from typing import Literal

import msgspec


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A document that lies in the blob store. `pages` 0: not counted yet. `weight`: its share of a fair fleet.

    `whole_up_to`: a document of up to so many pages is one batch, whatever `batch_size` says. `selection`: the pages
    asked for, as `shared/selection.py` writes them; empty: all. `narrate`: speak the summary when it is there.
    `max_pages`: of a document whose pages are not counted yet, as many may be asked for; 0: no limit of its own.
    """

    ref: str
    run: str
    kind: str
    source: str
    fingerprint: str
    user: str = ""
    batch_size: int
    whole_up_to: int = 0
    selection: str = ""
    narrate: bool = False
    pages: int = 0
    max_pages: int = 0
    weight: float = 1.0


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """`created`: this call made the job. `same`: the job has this submission's fingerprint."""

    run: str
    created: bool
    same: bool


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """`was` and `status`: before and after; they differ where this call ended the job.

    `narration`: what became of that of a job that had ended before: stopped now, or by a cancel before.
    """

    was: str
    status: str
    run: str
    stopped_pages: int
    stopped_batches: int
    rev: int = 1
    narration: Literal["", "stopped", "was_stopped"] = ""

    @property
    def now(self) -> bool:
        return self.was != self.status

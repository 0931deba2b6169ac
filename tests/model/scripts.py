"""The model: what each ledger script promises (DESIGN, its header, `shared/ledger.py`), said once more over plain data.

A method answers what its script must answer, and changes the state as the script must. Which entries `release` moves is
not predicted but checked afterwards (`moving.py`): it depends on the server's clock. Facts that a script appends by
itself are collected in `state.born`; their ids are the server's.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.events import (
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    PageAnalyzed,
    PageRequested,
)
from shared.ledger import Entry
from shared.outcomes import (
    BatchDone,
    DocumentDone,
    Narrated,
    Noted,
    Outcome,
    PageRead,
    Planned,
    Rendered,
    RenderedPage,
    Speaking,
)
from shared.submission import Submission
from tests.model.state import Job, Ring
from tests.model.waiting import Waiting


class Scripts(Waiting):
    """One method a script of `shared/ledger.py`; `Mending` (mending.py) has those of `shared/repairs.py`."""

    def submit(self, new: Submission) -> tuple[str, bool, bool]:
        known = self.state.jobs.get(new.ref)
        if known:
            return known.run, False, known.fingerprint == new.fingerprint
        self.state.jobs[new.ref] = Job(new.ref, new.run, new.fingerprint, new.batch_size, new.narrate, new.selection)
        for kept in (self.state.rings, self.state.crashes):
            kept.pop(new.ref, None)  # an earlier run's
        self.state.born.append(DocSubmitted(job=new.ref, run=new.run))
        return new.run, True, True

    def cancel(self, ref: str) -> tuple[str, str, str, int, int, int, str] | None:
        job = self.state.jobs.get(ref)
        if job is None:
            return None
        if job.ended:
            return job.status, job.status, job.run, 0, 0, job.rev, self._silence(job)
        was = job.status
        for ordinal in range(job.pages):
            self._forget_page(ref, ordinal)
        self._end_job(job, "cancelled")
        open_pages = job.pages - len(job.read) - len(job.gaps)
        return was, "cancelled", job.run, open_pages, job.batches - len(job.summaries), job.rev, ""

    def _silence(self, job: Job) -> str:
        """What an ended job's cancel says of its narration. What is in the stream is dropped when it is read."""
        if job.audio not in ("pending", "speaking"):
            return "was_stopped" if job.silenced else ""
        job.audio, job.silenced = "failed", True
        fact = DocSummarized(job=job.ref, run=job.run, rev=job.rev, summary=job.summary)
        for waiting in (self.state.deferred, self.state.bodies):
            waiting[fact.stream].pop(fact.unit, None)
        self.state.crashes.pop(job.ref, None)
        return "stopped"

    # Outcomes and failures ------------------------------------------------------------------------------------------

    def record(self, worker: str, entry: Entry, outcome: Outcome) -> str:
        fact = entry.fact
        if isinstance(outcome, Noted):
            self._drop(entry)
            return "noted"
        if isinstance(fact, DocSummarized):
            return self._narrated(worker, entry, outcome, failed=False)
        job = self._live(fact)
        if job is None:
            self._drop(entry)
            return "gone"
        match fact, outcome:
            case DocSubmitted(), Planned():
                return self._plan(job, entry, outcome.pages)
            case BatchRequested(), Rendered():
                return self._rendered(job, worker, entry, outcome.pages, last=outcome.last)
            case PageRequested(), PageRead():
                return self._read(job, entry, fact, outcome)
            case PageAnalyzed(), BatchDone():
                return self._batch_done(job, worker, entry, fact, outcome, bury=False)
            case BatchSummarized(), DocumentDone():
                return self._document_done(job, worker, entry, fact, outcome, bury=False)
        raise TypeError(outcome)

    def fail(self, worker: str, entry: Entry, reason: str) -> str:
        fact = entry.fact
        if isinstance(fact, PageAnalyzed | BatchSummarized) and not fact.last:
            return "recorded" if self.malformed(type(fact), entry.id) else "gone"
        if isinstance(fact, DocSummarized):
            return self._narrated(worker, entry, Narrated(audio="", timeline=""), failed=True)
        job = self._live(fact)
        if job is None:
            self._drop(entry)
            return "gone"
        match fact:
            case PageAnalyzed():
                return self._batch_done(job, worker, entry, fact, BatchDone(failed=reason), bury=True)
            case BatchSummarized():
                return self._document_done(job, worker, entry, fact, DocumentDone(failed=reason), bury=True)
        if not self._owns(worker, entry):
            return "not_owner"
        match fact:
            case DocSubmitted():
                self._bury(entry)
                self._end_job(job, "failed")
            case BatchRequested():
                self._bury(entry)
                rest = [
                    RenderedPage(ordinal=ordinal, page=job.page(ordinal), failed=reason)
                    for ordinal in job.ordinals(fact.batch)
                ]
                return self._rendered(job, worker, entry, rest, last=True)
            case PageRequested():
                self._bury(entry)
                job.gaps[fact.ordinal] = reason
                self._end_page(job, fact.ordinal, "gap", fact.round)
        self._drop(entry)
        self.state.released = True
        return "recorded"

    def _plan(self, job: Job, entry: Entry, pages: int) -> str:
        self._drop(entry)
        self.state.released = True
        if job.planned:
            return "duplicate"
        job.planned, job.pages = True, pages
        self.state.rings[job.ref] = Ring(job.run, list(range(job.batches)))
        return "planned"

    def _rendered(self, job: Job, worker: str, entry: Entry, pages: Sequence[RenderedPage], *, last: bool) -> str:
        round_ = job.rev - 1
        may_fail, refused = self._owns(worker, entry), False
        for page in pages:
            if page.ordinal in job.rendered:
                continue
            if page.failed and not may_fail:
                refused = True
                continue
            job.rendered[page.ordinal] = page.image
            if page.blank:
                job.read[page.ordinal] = ""
                self._end_page(job, page.ordinal, "read", round_)
            elif page.failed:
                job.gaps[page.ordinal] = page.failed
                self._end_page(job, page.ordinal, "gap", round_)
            else:
                self._enqueue(job, page.ordinal, round_)
        assert isinstance(entry.fact, BatchRequested)
        whole = all(ordinal in job.rendered for ordinal in job.ordinals(entry.fact.batch))
        if last and whole:
            self._drop(entry)
        self.state.released = True
        return "not_owner" if refused else "unfinished" if last and not whole else "recorded"

    def _read(self, job: Job, entry: Entry, fact: PageRequested, outcome: PageRead) -> str:
        if fact.ordinal in job.read:
            self._drop(entry)
            return "duplicate"
        was_gap = fact.ordinal in job.gaps
        if was_gap and fact.ordinal // job.size in job.summaries:
            self._drop(entry)
            return "late"
        job.gaps.pop(fact.ordinal, None)
        job.read[fact.ordinal] = outcome.blob
        job.calls += outcome.usage.calls
        if not was_gap:
            self._end_page(job, fact.ordinal, "read", fact.round)
        self._forget_page(job.ref, fact.ordinal)
        self._drop(entry)
        self.state.released = True
        return "recorded"

    def _batch_done(
        self, job: Job, worker: str, entry: Entry, fact: PageAnalyzed, done: BatchDone, *, bury: bool
    ) -> str:
        if fact.rev != job.rev_of(fact.batch):
            self._drop(entry)
            return "stale"
        if bury and not self._owns(worker, entry):
            return "not_owner"
        self.state.released = True
        gate = f"batch:{fact.batch}:{fact.rev}"
        if gate in job.gates:
            self._drop(entry)
            return "duplicate"
        job.gates.add(gate)
        if bury:
            self._bury(entry)
        job.summaries[fact.batch] = (done.blob, done.failed)
        job.calls += done.usage.calls
        last = len(job.summaries) == job.batches
        self.state.born.append(BatchSummarized(job=job.ref, run=job.run, batch=fact.batch, rev=job.rev, last=last))
        self._drop(entry)
        return "recorded"

    def _document_done(
        self, job: Job, worker: str, entry: Entry, fact: BatchSummarized, done: DocumentDone, *, bury: bool
    ) -> str:
        if fact.rev != job.rev:
            self._drop(entry)
            return "stale"
        if bury and not self._owns(worker, entry):
            return "not_owner"
        if bury:
            self._bury(entry)
        job.calls += done.usage.calls
        job.summary = done.blob
        whole = not (job.gaps or done.failed or any(failed for _, failed in job.summaries.values()))
        self._end_job(job, "failed" if not job.read else "completed" if whole else "partial")
        if job.narrate:
            job.audio = "pending" if done.blob else "failed"
        if job.audio == "pending":
            self.state.born.append(DocSummarized(job=job.ref, run=job.run, rev=job.rev, summary=done.blob))
        self._drop(entry)
        return job.status

    def _narrated(self, worker: str, entry: Entry, outcome: Outcome, *, failed: bool) -> str:
        fact = entry.fact
        assert isinstance(fact, DocSummarized)
        job = self._wanting(fact)
        if isinstance(outcome, Speaking):
            if job is None:
                self._drop(entry)
                return "gone"
            job.audio = "speaking"
            return "recorded"
        assert isinstance(outcome, Narrated)
        if job is None or fact.rev != job.rev:
            self._drop(entry)
            return "gone" if job is None else "stale"
        if failed and not self._owns(worker, entry):
            return "not_owner"
        if failed:
            self._bury(entry)
        job.audio = "failed" if failed else "ready"
        job.calls += outcome.usage.calls
        self.state.crashes.pop(job.ref, None)
        self._drop(entry)
        return "recorded"

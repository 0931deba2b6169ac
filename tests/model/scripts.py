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
    Fact,
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
from tests.model.state import Job, Ring, State


class Scripts:
    """One method a script of `shared/ledger.py`; `Mending` (mending.py) has those of `shared/repairs.py`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def submit(self, new: Submission) -> tuple[str, bool, bool]:
        known = self.state.jobs.get(new.ref)
        if known:
            return known.run, False, known.fingerprint == new.fingerprint
        self.state.jobs[new.ref] = Job(new.ref, new.run, new.fingerprint, new.batch_size, new.narrate, new.selection)
        for kept in (self.state.rings, self.state.crashes):
            kept.pop(new.ref, None)  # an earlier run's
        self.state.born.append(DocSubmitted(job=new.ref, run=new.run))
        return new.run, True, True

    def cancel(self, ref: str) -> tuple[str, str, str, int, int] | None:
        job = self.state.jobs.get(ref)
        if job is None or job.ended:
            return job and (job.status, job.status, job.run, 0, 0)
        was = job.status
        for ordinal in range(job.pages):
            self._forget_page(ref, ordinal)
        self._end_job(job, "cancelled")
        open_pages = job.pages - len(job.read) - len(job.gaps)
        return was, "cancelled", job.run, open_pages, job.batches - len(job.summaries)

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

    def _rendered(
        self, job: Job, worker: str, entry: Entry, pages: Sequence[RenderedPage], *, last: bool
    ) -> str:
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
        return "not_owner" if refused or (last and not whole) else "recorded"

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
        self.state.born.append(
            BatchSummarized(job=job.ref, run=job.run, batch=fact.batch, rev=job.rev, last=last)
        )
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
            if job:
                job.audio = "speaking"
            return "recorded" if job else "gone"
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

    # Leases and waiting ---------------------------------------------------------------------------------------------

    def defer(self, worker: str, entry: Entry, *, at_once: bool) -> str:
        if not self._owns(worker, entry):
            return "not_owner"
        self._drop(entry)
        self.state.released = True
        if self._wanting(entry.fact) is None:
            return "gone"
        stream, unit = entry.fact.stream, entry.fact.unit
        self.state.deferred[stream][unit] = at_once
        self.state.bodies[stream][unit] = entry.fact
        return "deferred"

    def give_back(self, worker: str, entry: Entry) -> str:
        if not self._owns(worker, entry):
            return "not_owner"
        self._drop(entry)
        self.state.released = True
        if self._wanting(entry.fact) is None:
            return "gone"
        self.state.born.append(entry.fact)
        return "given_back"

    def renew(self, worker: str, entries: Sequence[Entry]) -> list[str]:
        return [entry.id for entry in entries if not self._owns(worker, entry)]

    def reclaim(self, worker: str, entry: Entry, *, owner: str, crashed: bool) -> int | None:
        """Every entry is stale: the machine asks with an idle time of 0."""
        if not self._owns(owner, entry):
            return None
        self.state.streams[entry.fact.stream][entry.id].owner = worker
        crashes = self.state.crashes.setdefault(entry.fact.job, {}).setdefault(entry.fact.unit, set())
        if crashed and self._wanting(entry.fact):
            crashes.add(owner)
        return len(crashes)

    def reap(self, fact: type[Fact], consumer: str) -> int:
        return int(all(held.owner != consumer for held in self.state.streams[fact.stream].values()))

    def malformed(self, fact: type[Fact], id_: str) -> bool:
        """Whether it was there."""
        there = id_ in self.state.garbage or id_ in self.state.streams[fact.stream]
        self.state.garbage.discard(id_)
        self.state.streams[fact.stream].pop(id_, None)
        self.state.dead[fact.stream] += there
        return there

    def release(self, renderers: int | None) -> None:
        self.state.renderers = renderers or self.state.renderers
        self.state.released = True

    # -----------------------------------------------------------------------------------------------------------------

    def _live(self, fact: Fact) -> Job | None:
        job = self.state.jobs.get(fact.job)
        return job if job and job.run == fact.run and not job.ended else None

    def _wanting(self, fact: Fact) -> Job | None:
        if not isinstance(fact, DocSummarized):
            return self._live(fact)
        job = self.state.jobs.get(fact.job)
        return job if job and job.run == fact.run and job.audio in ("pending", "speaking") else None

    def _owns(self, worker: str, entry: Entry) -> bool:
        held = self.state.streams[entry.fact.stream].get(entry.id)
        return held is not None and held.owner == worker

    def _drop(self, entry: Entry) -> None:
        self.state.streams[entry.fact.stream].pop(entry.id, None)

    def _bury(self, entry: Entry) -> None:
        self.state.dead[entry.fact.stream] += 1

    def _enqueue(self, job: Job, ordinal: int, round_: int) -> None:
        fact = PageRequested(
            job=job.ref, run=job.run, ordinal=ordinal, page=job.page(ordinal), round=round_, image=job.rendered[ordinal]
        )
        self.state.queue.add(fact.unit)
        self.state.bodies[PageRequested.stream][fact.unit] = fact

    def _forget_page(self, ref: str, ordinal: int) -> None:
        """It leaves stream, queue and deferred set, whoever holds it."""
        stream, unit = PageRequested.stream, f"{ref}:{ordinal}"
        run = self.state.jobs[ref].run
        held = self.state.streams[stream]
        for id_ in [i for i, e in held.items() if (e.fact.unit, e.fact.run) == (unit, run)]:
            del held[id_]
        self.state.queue.discard(unit)
        self.state.deferred[stream].pop(unit, None)
        self.state.bodies[stream].pop(unit, None)

    def _end_page(self, job: Job, ordinal: int, outcome: str, round_: int) -> None:
        batch = ordinal // job.size
        if len(job.read) + len(job.gaps) == job.pages:
            job.status = "summarizing"
        self.state.born.append(
            PageAnalyzed(
                job=job.ref,
                run=job.run,
                batch=batch,
                ordinal=ordinal,
                page=job.page(ordinal),
                round=round_,
                rev=job.rev_of(batch),
                outcome=outcome,  # type: ignore[arg-type]  # one of the two
                last=job.all_over(batch),
            )
        )

    def _end_job(self, job: Job, status: str) -> None:
        job.status = status
        self.state.crashes.pop(job.ref, None)
        self.state.rings.pop(job.ref, None)
        self.state.released = True

"""The model of leases and waiting, and what all scripts of the model have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shared.events import DocSummarized, Fact, PageAnalyzed, PageRequested
from shared.ledger import Entry
from tests.model.state import Job, State


class Steps:
    """What scripts do among other things."""

    def __init__(self, state: State) -> None:
        self.state = state

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
        if self.state.named.get(entry.fact.unit) == entry.id:
            del self.state.named[entry.fact.unit]

    def _bury(self, entry: Entry) -> None:
        self.state.dead[entry.fact.stream] += 1

    def _enqueue(self, job: Job, ordinal: int, round_: int) -> None:
        fact = PageRequested(
            job=job.ref, run=job.run, ordinal=ordinal, page=job.page(ordinal), round=round_, image=job.rendered[ordinal]
        )
        self.state.queue.add(fact.unit)
        self.state.deferred[fact.stream].pop(fact.unit, None)  # an earlier run's
        self.state.bodies[PageRequested.stream][fact.unit] = fact

    def _forget_page(self, ref: str, ordinal: int) -> None:
        """It leaves stream, queue and deferred set, whoever holds it."""
        stream, unit = PageRequested.stream, f"{ref}:{ordinal}"
        self.state.streams[stream].pop(self.state.named.pop(unit, ""), None)
        self.state.queue.discard(unit)
        self.state.deferred[stream].pop(unit, None)
        self.state.bodies[stream].pop(unit, None)

    def _end_page(self, job: Job, ordinal: int, outcome: Literal["read", "gap"], round_: int) -> None:
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
                outcome=outcome,
                last=job.all_over(batch),
            )
        )

    def _end_job(self, job: Job, status: str) -> None:
        job.status = status
        self.state.crashes.pop(job.ref, None)
        self.state.rings.pop(job.ref, None)
        self.state.released = True


class Waiting(Steps):
    """Leases, deferrals, givings back, and what the keeper does."""

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
        if crashed and self._wanting(entry.fact) and owner not in crashes:
            crashes.add(owner)
            self.state.deaths.add(owner)
        chance = 3 <= len(crashes) < 6 and len(self.state.deaths) >= 2 * len(crashes)
        return 2 if chance else len(crashes)

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

"""The model of the scripts that mend: what has failed goes round again, what was lost is put back."""

from __future__ import annotations

from collections.abc import Iterable

from shared.events import BatchSummarized, DocSubmitted, DocSummarized, PageAnalyzed
from tests.model.scripts import Scripts
from tests.model.state import Job, Ring


class Mending(Scripts):
    """All scripts. `run` and `rev` are those that the caller knew."""

    def retry_pages(
        self, ref: str, run: str, rev: int, *, ordinals: Iterable[int], batches: Iterable[int], summary: bool
    ) -> tuple[str, int, int]:
        job, word = self._retried(ref, run, rev)
        if job is None:
            return word, 0, 0
        again = [ordinal for ordinal in dict.fromkeys(ordinals) if ordinal in job.gaps]
        touched = {ordinal // job.size for ordinal in again}
        unsummarised = {batch for batch in batches if batch in job.summaries and job.summaries[batch][1]}
        alone = not touched | unsummarised
        if alone and not (summary and not job.summary and job.planned):
            return "nothing", 0, 0
        self._reopen(job, "processing" if again else "summarizing")
        for ordinal in again:
            del job.gaps[ordinal]
        for batch in touched | unsummarised:
            job.summaries.pop(batch, None)
            job.batch_rev[batch] = job.rev
        unrendered = []
        for ordinal in again:
            if job.rendered.get(ordinal):
                self._enqueue(job, ordinal, job.rev - 1)
            else:
                job.rendered.pop(ordinal, None)
                unrendered.append(ordinal // job.size)
        if unrendered:
            self.state.rings[ref] = Ring(run, list(dict.fromkeys(unrendered)))
        for batch in unsummarised - touched:
            self._tell_batch(job, batch)
        if alone:
            self.state.born.append(BatchSummarized(job=ref, run=run, batch=job.batches - 1, rev=job.rev, last=True))
        self.state.released = True
        return "retried", len(again), len(touched | unsummarised)

    def retry_plan(self, ref: str, run: str, rev: int) -> tuple[str, int, int]:
        job, word = self._retried(ref, run, rev)
        if job is None:
            return word, 0, 0
        if job.planned:
            return "nothing", 0, 0
        self._reopen(job, "queued")
        self.state.born.append(DocSubmitted(job=ref, run=run))
        return "retried", 0, 0

    def retry_audio(self, ref: str, run: str, rev: int) -> tuple[str, int, int]:
        job = self.state.jobs.get(ref)
        if job is None or job.run != run:
            return "gone", 0, 0
        if job.rev != rev:
            return "changed", 0, 0
        if job.audio != "failed" or not job.summary:
            return "nothing", 0, 0
        if job.silenced:
            return "cancelled", 0, 0
        job.audio = "pending"
        self.state.born.append(DocSummarized(job=ref, run=run, rev=rev, summary=job.summary))
        return "retried", 0, 0

    def reconcile(self, ref: str) -> dict[str, int]:
        """A healthy job is left alone; of one that is not known any more, nothing keeps its turn."""
        if ref not in self.state.jobs:
            self.state.rings.pop(ref, None)
            self.state.crashes.pop(ref, None)
        return {}

    def _retried(self, ref: str, run: str, rev: int) -> tuple[Job | None, str]:
        job = self.state.jobs.get(ref)
        if job is None or job.run != run:
            return None, "gone"
        if not job.ended:
            return None, "open"
        if job.status == "cancelled":
            return None, "cancelled"
        return (job, "") if job.rev == rev else (None, "changed")

    def _reopen(self, job: Job, status: str) -> None:
        job.rev += 1
        job.status = status
        job.summary, job.audio, job.silenced = "", "none", False

    def _tell_batch(self, job: Job, batch: int) -> None:
        ordinal = job.ordinals(batch)[-1]
        self.state.born.append(
            PageAnalyzed(
                job=job.ref,
                run=job.run,
                batch=batch,
                ordinal=ordinal,
                page=job.page(ordinal),
                round=job.rev - 1,
                rev=job.rev_of(batch),
                outcome="read" if ordinal in job.read else "gap",
                last=True,
            )
        )

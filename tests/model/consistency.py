"""What must hold of a server's keys at every moment, whatever came before: no model is needed to say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from shared.events import (
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    Fact,
    PageAnalyzed,
    PageRequested,
)
from shared.records import TERMINAL
from tests.model.seen import Seen, SeenJob
from tests.model.state import STREAMS

ENTRY_BYTES = 512

F = TypeVar("F", bound=Fact)


def faults(seen: Seen) -> list[str]:
    """A sentence for each thing that is not as it must be; empty for a consistent state."""
    return [*_of_streams(seen), *(fault for ref, job in seen.jobs.items() for fault in _of_job(seen, ref, job))]


def _of_streams(seen: Seen) -> Iterator[str]:
    for stream in STREAMS:
        if seen.orphans[stream]:
            yield f"{stream}: {seen.orphans[stream]} are held, and their entries are gone"
        for unit in seen.deferred[stream]:
            if unit not in seen.bodies[stream]:
                yield f"{stream}: {unit} is deferred without a body"
        known = set(seen.deferred[stream]) | (set(seen.queue) if stream == PageRequested.stream else set())
        for unit in set(seen.bodies[stream]) - known:
            yield f"{stream}: {unit} has a body, and waits nowhere"
    for unit in set(seen.queue) - set(seen.bodies[PageRequested.stream]):
        yield f"{unit} is queued without a body"
    for unit, id_ in seen.at.items():
        if id_ not in seen.streams[PageRequested.stream]:
            yield f"{unit} is said to be {id_}, which is gone"
    if set(seen.rings) != seen.turns:
        yield f"jobs have batches to be rendered, or a turn, but not both: {set(seen.rings) ^ seen.turns}"
    if seen.largest > ENTRY_BYTES:
        yield f"an entry has {seen.largest} bytes"


def _of_job(seen: Seen, ref: str, job: SeenJob) -> Iterator[str]:
    ended = job.fields["status"] in TERMINAL
    yield from (f"{ref}: {fault}" for fault in _counters(seen, ref, job, ended=ended))
    yield from (f"{ref}: {fault}" for fault in _narration(seen, ref, job))
    if ended and job.fields.get("audio") not in ("pending", "speaking"):
        if -1 in job.lifetimes:
            yield f"{ref} is over, and its keys are kept for ever: {job.lifetimes}"
    elif any(left != -1 for left in job.lifetimes):
        yield f"{ref} is not over, and its keys have a lifetime: {job.lifetimes}"
    if ended:
        yield from (f"{ref} has ended: {fault}" for fault in _left_over(seen, ref, job))
    elif "plan" not in job.gates:
        told = len(_facts(seen, DocSubmitted, ref, job))
        if told != 1:
            yield f"{ref} waits for its plan, and {told} entries say so"
    else:
        yield from (f"{ref}: {fault}" for fault in _open(seen, ref, job))


def _counters(seen: Seen, ref: str, job: SeenJob, *, ended: bool) -> Iterator[str]:
    counted = {
        "done": len(job.read),
        "failed": len(job.gaps),
        "blank": sum(bool(record.get("blank")) for record in job.read.values()),
        "batches_done": sum(not summary["failed"] for summary in job.summaries.values()),
        "batches_failed": sum(bool(summary["failed"]) for summary in job.summaries.values()),
    }
    for name, number in counted.items():
        if job.number(name) != number:
            yield f"{name} says {job.number(name)}, and there are {number}"
    if both := set(job.read) & set(job.gaps):
        yield f"pages {both} are read, and gaps"
    over = Counter(ordinal // job.number("batch_size") for ordinal in {*job.read, *job.gaps})
    for batch in range(job.number("batches")):
        if int(job.batches.get(f"ended:{batch}", 0)) != over[batch]:
            yield f"of batch {batch}, {job.batches.get(f'ended:{batch}')} pages are said to have ended: {over[batch]}"
    ahead = 0 if ended else len(set(job.rendered) - set(job.read) - set(job.gaps))
    if seen.ready.get(ref, 0) != ahead:
        yield f"{seen.ready.get(ref)} pages are said to be ready: {ahead}"
    if (ref in seen.active) == ended:
        yield f"it is {job.fields['status']}, and the keeper looks after it: {ref in seen.active}"


def _narration(seen: Seen, ref: str, job: SeenJob) -> Iterator[str]:
    wanted = job.fields.get("audio") in ("pending", "speaking")
    told = [fact for fact in _facts(seen, DocSummarized, ref, job) if fact.rev == job.number("rev")]
    if wanted and len(told) != 1:  # one that is left over from a deferral is dropped when it is read
        yield f"its audio is {job.fields.get('audio')}, and {len(told)} entries ask for it"


def _left_over(seen: Seen, ref: str, job: SeenJob) -> Iterator[str]:
    for name, there in {"ready": seen.ready, "tags": seen.tags, "started": seen.started, "rings": seen.rings}.items():
        if ref in there:
            yield f"it is still in {name}"
    if facts := _facts(seen, PageRequested, ref, job):
        yield f"its pages are still asked for: {facts}"
    if job.crashes and job.fields.get("audio") not in ("pending", "speaking"):
        yield f"its crashes are kept: {job.crashes}"


def _open(seen: Seen, ref: str, job: SeenJob) -> Iterator[str]:
    pages, size = job.number("pages"), job.number("batch_size")
    over = {*job.read, *job.gaps}
    if (job.fields["status"] == "summarizing") != (len(over) == pages):
        yield f"it is {job.fields['status']}, and {len(over)} of {pages} pages have ended"
    asked = Counter(fact.ordinal for fact in _facts(seen, PageRequested, ref, job, queued=True))
    requested = {fact.batch for fact in _facts(seen, BatchRequested, ref, job)}
    ring = seen.rings.get(ref)
    if ring and ring.run == job.fields["run"]:
        requested |= set(ring.batches)
    for ordinal in range(pages):
        if asked[ordinal] != (ordinal in job.rendered and ordinal not in over):
            yield f"page {ordinal} is asked for {asked[ordinal]} times"
        if ordinal not in over and ordinal not in job.rendered and ordinal // size not in requested:
            yield f"nobody will render page {ordinal}"
    for id_, held in seen.streams[PageRequested.stream].items():
        if held.fact.job == ref and held.fact.run == job.fields["run"] and seen.at.get(held.fact.unit) != id_:
            yield f"{held.fact.unit} is {id_}, and said to be {seen.at.get(held.fact.unit)}"
    told = Counter(
        fact.batch
        for fact in _facts(seen, PageAnalyzed, ref, job)
        if fact.last and fact.rev == int(job.batches.get(f"rev:{fact.batch}", 1))
    )
    for batch in range(job.number("batches")):
        whole = all(ordinal in over for ordinal in range(batch * size, min((batch + 1) * size, pages)))
        if whole and batch not in job.summaries and told[batch] != 1:
            yield f"batch {batch} waits for its summary, and {told[batch]} entries say so"
    if len(job.summaries) == job.number("batches"):
        facts = _facts(seen, BatchSummarized, ref, job)
        count = sum(fact.last and fact.rev == job.number("rev") for fact in facts)
        if count != 1:
            yield f"it waits for its summary, and {count} entries say so"


def _facts(seen: Seen, kind: type[F], ref: str, job: SeenJob, *, queued: bool = False) -> list[F]:
    """Facts of this job and run: in the stream, deferred, and of pages also in the queue."""
    found = [held.fact for held in seen.streams[kind.stream].values()]
    waiting = [*seen.deferred[kind.stream], *(seen.queue if queued else ())]
    found += [seen.bodies[kind.stream][unit] for unit in waiting if unit in seen.bodies[kind.stream]]
    return [fact for fact in found if isinstance(fact, kind) and (fact.job, fact.run) == (ref, job.fields["run"])]

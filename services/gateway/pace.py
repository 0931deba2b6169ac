"""How fast a job goes and when it will be over. Pure: the time is always given.

A job's average since its start is a bad guide: it holds the wait for the first answer and the ramp that follows, and
says up to twice too much when a tenth is done (simulated for 64 to 128 slots). So the gateway keeps a few marks of each
job that somebody watches, and measures over the younger half of its time. In the same simulation, with summaries and
calls of varying length, 95 of 100 estimates are then within 4% to 9% of the whole for documents of 16 to 60 pages a
slot. Fewer pages a slot come in a few waves, which no average foresees.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import msgspec

from shared.records import Job

ENOUGH_PAGES = 5  # fewer say nothing of a rate
ENOUGH_S = 2.0
SHORTEST_WINDOW_S = 4.0  # about one model call: in a shorter one, pages that end together look like a pace
MARKS = 64  # of one job; then every other is dropped, so that they reach back over its whole time
WATCHED = 1000  # jobs
TYPICAL_CALL_S = 6.0  # a page of text through a hosted vision model
SUMMARY_S = (0.25, 30.0)  # what one summary takes at least and, as far as we dare say, at most


class Mark(msgspec.Struct, frozen=True):
    """At `ms` since 1970, so many of the job's pages had ended."""

    ms: int
    ended: int


class Pace:
    """Remembers marks of the jobs that were asked about, and answers their pace."""

    def __init__(self) -> None:
        self._marks: OrderedDict[str, list[Mark]] = OrderedDict()

    def pages_per_s(self, job: Job, *, now_ms: int) -> float | None:
        """Pages a second now, None while too little is known. Remembers the job as it is."""
        if job.status != "processing":
            return average(job, now_ms=now_ms)
        marks = self._marks.setdefault(f"{job.run}:{job.rev}", [])
        self._marks.move_to_end(f"{job.run}:{job.rev}")
        if len(self._marks) > WATCHED:
            self._marks.popitem(last=False)
        answer = recent(job, marks, now_ms=now_ms)
        if not marks or job.ended_pages > marks[-1].ended:
            marks.append(Mark(now_ms, job.ended_pages))
        if len(marks) > MARKS:
            del marks[1::2]
        return answer


def average(job: Job, *, now_ms: int) -> float | None:
    """Pages a second since the first was released."""
    seconds = (now_ms - job.started_ms) / 1000
    if not job.started_ms or seconds < ENOUGH_S or job.ended_pages < ENOUGH_PAGES:
        return None
    return job.ended_pages / seconds


def recent(job: Job, marks: list[Mark], *, now_ms: int) -> float | None:
    """Pages a second over the younger half of the job's time, as far as the marks reach; else its average."""
    window_ms = max((now_ms - job.started_ms) / 2, SHORTEST_WINDOW_S * 1000)
    begun = [mark for mark in marks if mark.ended > 0]
    old = [mark for mark in begun if mark.ms <= now_ms - window_ms]
    since = old[-1] if old else begun[0] if begun else None
    if since is None or job.ended_pages - since.ended < ENOUGH_PAGES or now_ms - since.ms < ENOUGH_S * 1000:
        return average(job, now_ms=now_ms)
    return (job.ended_pages - since.ended) / (now_ms - since.ms) * 1000


def seconds_left(job: Job, pages_per_s: float | None) -> float | None:
    """Seconds until the job ends; None while too little is known, and when it has ended.

    After the last page come two summaries, one after the other: its batch's and the document's. What a summary takes is
    seen from how far the summaries lag behind the pages, less the half batch that is always open.
    """
    if job.status not in ("processing", "summarizing") or not pages_per_s or not job.pages:
        return None
    summarised = min((job.batches_done + job.batches_failed) * job.batch_size, job.pages)
    lag_pages = max(job.ended_pages - summarised - job.batch_size / 2, 0)
    fewest, most = SUMMARY_S
    summary_s = min(max(lag_pages / pages_per_s, fewest), most)
    to_come = 1 if summarised == job.pages else 2
    return (job.pages - job.ended_pages) / pages_per_s + to_come * summary_s


def minutes(pages: int, *, pages_per_s: float, slots: int) -> int:
    """Whole minutes that a new document will take, rounded up, at least 1.

    Where the fleet has not read lately, its pace is taken from its slots and a typical call.
    """
    pace = pages_per_s or max(slots, 1) / TYPICAL_CALL_S
    return max(1, math.ceil(pages / pace / 60))

"""How fast a job goes and when it will be over."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right

import msgspec
import pytest

from services.gateway import pace
from services.gateway.pace import Mark, Pace
from shared.records import Job

JOB = Job(
    ref="local/a",
    run="r",
    status="processing",
    kind="images",
    source="s",
    fingerprint="f",
    batch_size=25,
    created_ms=0,
    pages=1000,
    batches=40,
    started_ms=1000,
)


def job(**changes: object) -> Job:
    return msgspec.structs.replace(JOB, **changes)


@pytest.mark.parametrize(
    ("at_this_point", "now_ms", "rate"),
    [
        (job(done=100), 11_000, 10.0),
        (job(done=90, failed=10), 11_000, 10.0),
        (job(done=4), 11_000, None),
        (job(done=100), 2_900, None),
        (job(done=100, started_ms=0), 11_000, None),
    ],
)
def test_the_average_needs_five_pages_and_two_seconds(at_this_point: Job, now_ms: int, rate: float | None) -> None:
    assert pace.average(at_this_point, now_ms=now_ms) == rate


@pytest.mark.parametrize(
    ("marks", "rate"),
    [
        ([], 10.0),
        ([Mark(1000, 0)], 10.0),
        ([Mark(11_000, 0), Mark(16_000, 100)], 20.0),
        ([Mark(11_000, 20), Mark(13_000, 40), Mark(19_500, 190)], 20.0),
        ([Mark(18_000, 150)], 16.7),
        ([Mark(18_000, 196)], 10.0),
        ([Mark(20_000, 100)], 10.0),
    ],
    ids=[
        "no marks",
        "before its first page",
        "younger half",
        "mark before the half",
        "short",
        "few pages",
        "too young",
    ],
)
def test_the_pace_is_that_of_the_younger_half(marks: list[Mark], rate: float) -> None:
    assert pace.recent(job(done=200), marks, now_ms=21_000) == pytest.approx(rate, rel=0.2)


@pytest.mark.parametrize(
    ("at_this_point", "rate", "seconds"),
    [
        (
            job(done=500, batches_done=19),
            10.0,
            50 + 2 * 1.25,
        ),  # summaries lag by 12.5 pages more than the open half batch
        (job(done=500, batches_done=15), 10.0, 50 + 2 * 11.25),  # summaries lag by 112.5 pages
        (job(done=500, batches_done=0), 1.0, 500 + 2 * 30),  # a lag is trusted only so far
        (job(status="summarizing", done=1000, batches_done=39), 10.0, 2 * 1.25),
        (job(status="summarizing", done=990, failed=10, batches_done=39, batches_failed=1), 10.0, 0.25),
        (job(done=3), None, None),
        (job(status="queued"), 10.0, None),
        (job(status="completed", done=1000), 10.0, None),
        (job(status="cancelled", done=500), 10.0, None),
    ],
)
def test_the_time_left_is_the_pages_and_the_summaries_that_follow(
    at_this_point: Job, rate: float | None, seconds: float | None
) -> None:
    assert pace.seconds_left(at_this_point, rate) == seconds


class Run:
    """A simulated job: one probe, then all slots at once; calls and summaries of varying length."""

    def __init__(self, *, pages: int, slots: int, call_s: float, summary_s: float, seed: int) -> None:
        source = random.Random(seed)

        def lasting(mean_s: float) -> float:
            return mean_s * source.lognormvariate(-0.045, 0.3)

        first = lasting(call_s)
        free, ends = [first] * slots, [first]
        while len(ends) < pages:
            ends.append(heapq.heappop(free) + lasting(call_s))
            heapq.heappush(free, ends[-1])
        summaries = [max(ends[at : at + 25]) + lasting(summary_s) for at in range(0, pages, 25)]
        self.pages, self.batches = sorted(ends), sorted(summaries)
        self.end_s = max(summaries) + lasting(2 * summary_s)

    def at(self, now_s: float) -> Job:
        done = bisect_right(self.pages, now_s)
        return job(
            status="summarizing" if done == len(self.pages) else "processing",
            pages=len(self.pages),
            batches=len(self.batches),
            done=done,
            batches_done=bisect_right(self.batches, now_s),
            started_ms=1,
        )


@pytest.mark.parametrize("seed", range(5))
def test_the_estimate_is_within_a_tenth_once_a_tenth_is_done(seed: int) -> None:
    run = Run(pages=2000, slots=32, call_s=3, summary_s=1.5, seed=seed)
    paces = Pace()
    for half_second in range(1, int(run.end_s * 2)):
        now_s = half_second / 2
        now = run.at(now_s)
        left = pace.seconds_left(now, paces.pages_per_s(now, now_ms=int(now_s * 1000) + 1))
        if now.done >= 200:
            assert left is not None
            assert abs(left - (run.end_s - now_s)) < run.end_s / 10


def test_what_is_remembered_is_bounded() -> None:
    paces = Pace()
    for number in range(pace.WATCHED + 50):
        paces.pages_per_s(job(run=str(number), done=1), now_ms=2000)
    for step in range(1000):
        paces.pages_per_s(job(done=step), now_ms=1000 + step * 100)
    assert len(paces._marks) == pace.WATCHED
    assert len(paces._marks["r:1"]) <= pace.MARKS
    assert paces._marks["r:1"][0].ended == 0


@pytest.mark.parametrize(
    ("pages", "rate", "slots", "minutes"),
    [(0, 0.0, 0, 1), (1, 10.0, 64, 1), (600, 10.0, 64, 1), (601, 10.0, 64, 2), (640, 0.0, 64, 1), (1000, 0.0, 0, 100)],
)
def test_a_new_document_is_told_whole_minutes_and_at_least_one(
    pages: int, rate: float, slots: int, minutes: int
) -> None:
    assert pace.minutes(pages, pages_per_s=rate, slots=slots) == minutes

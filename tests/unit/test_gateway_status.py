"""A job's counters, told as its status."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import status
from shared.records import Job, PageRecord, Status

JOB = Job(
    ref="local/7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01",
    run="r",
    status="queued",
    kind="images",
    source="s",
    fingerprint="f",
    batch_size=25,
    created_ms=1_700_000_000_000,
)


def job(**changes: object) -> Job:
    return msgspec.structs.replace(JOB, **changes)


def at(state: Status, done: int, failed: int, batches_done: int, batches_failed: int = 0) -> Job:
    return job(
        status=state,
        pages=100,
        batches=4,
        done=done,
        failed=failed,
        batches_done=batches_done,
        batches_failed=batches_failed,
    )


@pytest.mark.parametrize(
    ("at_this_point", "percent"),
    [
        (job(), 0),
        (job(status="queued", pages=100, batches=4), 0),
        (at("processing", 1, 0, 0), 0),
        (at("processing", 49, 1, 1), 47),
        (at("processing", 98, 1, 3), 95),
        (at("summarizing", 100, 0, 3), 96),
        (at("summarizing", 100, 0, 4), 98),
        (at("completed", 100, 0, 4), 100),
        (at("partial", 99, 1, 4), 100),
        (at("cancelled", 50, 0, 2), 49),
        (at("failed", 0, 100, 0, 4), 98),
        (job(status="failed"), 0),
    ],
)
def test_progress_is_100_only_for_a_job_that_has_its_result(at_this_point: Job, percent: int) -> None:
    assert status.progress(at_this_point) == percent


@given(st.randoms(use_true_random=False))
def test_progress_never_runs_backwards(source: Random) -> None:
    pages, batches, seen = 0, 0, [0]
    while batches < 4:
        if batches < pages // 25 and (pages == 100 or source.random() < 0.1):
            batches += 1
        elif pages < 100:
            pages += 1
        seen.append(status.progress(at("summarizing" if pages == 100 else "processing", pages, 0, batches)))
    assert seen == sorted(seen)
    assert seen[-1] < status.progress(at("completed", 100, 0, 4)) == 100


@pytest.mark.parametrize(
    ("at_this_point", "active"),
    [
        (at("queued", 0, 0, 0), 0),
        (at("processing", 0, 0, 0), 1),
        (at("processing", 24, 0, 0), 1),
        (at("processing", 25, 0, 0), 2),
        (at("processing", 25, 0, 1), 1),
        (at("processing", 20, 0, 1), 1),
        (at("processing", 60, 10, 1, 1), 1),
        (at("summarizing", 100, 0, 2), 2),
        (at("summarizing", 100, 0, 4), 0),
        (at("completed", 100, 0, 4), 0),
        (at("cancelled", 30, 0, 1), 0),
    ],
)
def test_a_batch_is_active_from_its_first_page_to_its_summary(at_this_point: Job, active: int) -> None:
    counts = status.batches(at_this_point)
    assert counts.active == active
    assert counts.total == 4
    assert counts.active + counts.completed + counts.failed <= counts.total


@pytest.mark.parametrize(
    ("at_this_point", "stage"),
    [
        (job(), "splitting"),
        (job(pages=100), "splitting"),
        (job(pages=100, batches=4), "waiting"),
        (at("processing", 3, 0, 0), "reading"),
        (at("summarizing", 100, 0, 0), "summarizing"),
        (at("cancelled", 3, 0, 0), "ended"),
    ],
)
def test_the_stage_says_what_is_being_done(at_this_point: Job, stage: str) -> None:
    assert status.stage(at_this_point) == stage


def test_an_answer_has_every_field_and_names_every_gap() -> None:
    running = job(
        status="processing",
        pages=100,
        batches=4,
        done=30,
        failed=1,
        cached=2,
        blank=1,
        batches_done=1,
        started_ms=1_700_000_001_500,
        calls=28,
        tokens_in=1000,
        tokens_out=200,
        cost_usd=0.5,
    )
    gap = PageRecord(ordinal=6, page=7, reason="The page is damaged.")
    answer = status.answer(running, [gap], seconds_left=61.2, now_ms=1_700_000_010_000)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == {
        "job_id": "7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01",
        "status": "processing",
        "progress": 29,
        "current_page": 31,
        "total_pages": 100,
        "batches": {"total": 4, "completed": 1, "active": 1, "failed": 0},
        "estimated_seconds_remaining": 62,
        "estimated_completion_iso": "2023-11-14T22:14:32Z",
        "stage": "reading",
        "pages": {"done": 30, "failed": 1, "cached": 2, "blank": 1},
        "gaps": [{"page": 7, "reason": "The page is damaged."}],
        "usage": {"calls": 28, "tokens_in": 1000, "tokens_out": 200, "cost_usd": 0.5},
        "audio": "none",
        "audio_reason": None,
        "reason": None,
        "paused": None,
        "created_at": "2023-11-14T22:13:20Z",
        "started_at": "2023-11-14T22:13:21.500000Z",
        "ended_at": None,
    }


def test_an_estimate_that_is_not_known_is_null() -> None:
    answer = status.answer(job(ended_ms=1_700_000_002_000), [], seconds_left=None, now_ms=0)
    assert answer.estimated_seconds_remaining is None
    assert answer.estimated_completion_iso is None
    assert answer.ended_at == datetime(2023, 11, 14, 22, 13, 22, tzinfo=UTC)

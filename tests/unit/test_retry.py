"""What happens after a failure."""

from __future__ import annotations

import pytest

from shared.errors import Gone, Refused, RetryLater, Stop
from shared.retry import LONGEST_BACKOFF_S, backoff_s, judge


@pytest.mark.parametrize(
    ("error", "attempts", "next_", "counted"),
    [
        (Gone("cancelled"), 0, "drop", 0),
        (Refused("content filter"), 0, "fail", 0),
        (Stop("401"), 4, "defer", 4),
        (RetryLater("429", after=3, counted=False), 4, "defer", 4),
        (RetryLater("503"), 0, "defer", 1),
        (RetryLater("503"), 3, "defer", 4),
        (RetryLater("503"), 4, "fail", 5),
        (KeyError("a bug"), 0, "defer", 1),
        (KeyError("a bug"), 4, "fail", 5),
    ],
)
def test_the_verdict(error: Exception, attempts: int, next_: str, counted: int) -> None:
    verdict = judge(error, attempts=attempts, max_attempts=5)
    assert (verdict.next, verdict.attempts if next_ != "drop" else 0) == (next_, counted)


def test_what_the_server_asked_for_is_waited_for_and_little_more() -> None:
    delays = [judge(RetryLater("429", after=10, counted=False), attempts=0, max_attempts=5).delay_s for _ in range(200)]
    assert min(delays) >= 10
    assert max(delays) <= 12
    assert len(set(delays)) > 100


def test_a_failure_says_what_was_tried_and_why_it_failed() -> None:
    verdict = judge(RetryLater("the model answered 503"), attempts=4, max_attempts=5)
    assert verdict.reason == "given up after 5 tries: the model answered 503"


def test_an_unnamed_error_is_named_by_its_type() -> None:
    assert judge(KeyError("x"), attempts=0, max_attempts=5).reason == "KeyError: 'x'"


def test_backoff_is_spread_over_the_whole_span_and_bounded() -> None:
    spans = [backoff_s(10) for _ in range(500)]
    assert max(spans) <= LONGEST_BACKOFF_S
    assert min(spans) < LONGEST_BACKOFF_S / 4 < LONGEST_BACKOFF_S / 2 < max(spans)
    assert all(0.05 <= backoff_s(1) <= 1 for _ in range(100))

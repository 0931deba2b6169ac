"""What a server's headers say about limits and waiting."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from shared.ai import ratelimits
from shared.limiter import Limits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("250ms", 0.25),
        ("1h2m3.5s", 3723.5 - 123.5),  # no longer than an hour
        ("20", 20.0),
        ("1.5s", 1.5),
        ("0s", 0.0),
        ("1893456000", 3600.0),  # a point in time
        ("", None),
        ("soon", None),
        ("-3", None),
        ("3 s", None),
    ],
)
def test_a_span_is_read_in_all_its_forms(text: str, seconds: float | None) -> None:
    assert ratelimits.seconds(text) == seconds


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"retry-after-ms": "60000", "retry-after": "61"}, "", 60.0),
        ({"retry-after": "7"}, "Please try again in 1.2s.", 7.0),
        ({}, "Rate limit reached for gpt-6-luna. Please try again in 1m1.5s. Visit …", 61.5),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, "", 1.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
            },
            "",
            360.0,
        ),
        ({"retry-after": "in a while"}, "", None),
        ({}, "", None),
    ],
)
def test_the_wait_comes_from_the_most_telling_place(headers: dict[str, str], message: str, wait: float | None) -> None:
    assert ratelimits.retry_after_s(headers, message) == wait


def test_a_date_is_a_wait_until_then_and_a_past_one_none_at_all() -> None:
    assert ratelimits.retry_after_s({"retry-after": formatdate(time.time() + 90, usegmt=True)}) == pytest.approx(
        90, abs=5
    )
    assert ratelimits.retry_after_s({"retry-after": formatdate(time.time() - 90, usegmt=True)}) == 0


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {"x-ratelimit-limit-requests": "5000", "x-ratelimit-limit-tokens": "2000000"},
            Limits(rpm=5000, tpm=2_000_000),
        ),
        ({"x-ratelimit-limit-requests": "5000"}, Limits(rpm=5000)),
        ({"x-ratelimit-limit-requests": "none"}, None),
        ({}, None),
    ],
)
def test_limits_are_those_that_are_told(headers: dict[str, str], limits: Limits | None) -> None:
    assert ratelimits.limits(headers) == limits

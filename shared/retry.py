"""What happens after a failure: a pure judgement, tested by a table."""

from __future__ import annotations

import random
from typing import Literal

import msgspec

from shared.errors import Gone, Refused, RetryLater, Stop

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
STOP_PAUSE_S = 15.0
"""A fleet whose key is refused looks again after this long (the limiter sends one probe in that span)."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`next`: drop the entry, fail its stage, or defer it by `delay_s` with `attempts` on its counter."""

    next: Literal["drop", "fail", "defer"]
    reason: str
    delay_s: float = 0.0
    attempts: int = 0


def judge(error: Exception, *, attempts: int, max_attempts: int) -> Verdict:
    """Decide on an entry whose handler raised. `attempts`: counted failures before this one.

    An error that the handlers don't name is a bug of ours: tried again like the world's, then failed.
    """
    reason = str(error) or type(error).__name__
    match error:
        case Gone():
            return Verdict(next="drop", reason=reason)
        case Refused():
            return Verdict(next="fail", reason=reason, attempts=attempts)
        case Stop():
            return Verdict(next="defer", reason=reason, delay_s=STOP_PAUSE_S, attempts=attempts)
        case RetryLater(counted=False, after=after):
            wait = FIRST_BACKOFF_S if after is None else after
            return Verdict(next="defer", reason=reason, delay_s=_spread(wait), attempts=attempts)
        case RetryLater(after=after):
            pass
        case _:
            reason, after = f"{type(error).__name__}: {reason}", None
    attempts += 1
    if attempts >= max_attempts:
        return Verdict(next="fail", reason=f"given up after {attempts} tries: {reason}", attempts=attempts)
    wait = backoff_s(attempts) if after is None else _spread(after)
    return Verdict(next="defer", reason=reason, delay_s=wait, attempts=attempts)


def backoff_s(attempts: int) -> float:
    """Exponential with full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter"); never under 50 ms."""
    ceiling = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempts - 1))
    return max(0.05, random.uniform(0, ceiling))


def _spread(wait_s: float) -> float:
    """At least what was asked, up to a fifth more, so that those who wait don't come back together."""
    return wait_s * random.uniform(1, 1.2)

"""What a model's server tells in its headers: its limits, and how long to wait. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from shared.limiter import Limits

LONGEST_WAIT_S = 3600.0  # a longer wait is asked for again after an hour; some servers send points in time instead

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_UNIT_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGAIN_IN = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)", re.IGNORECASE)


def seconds(text: str) -> float | None:
    """A span such as "6m0s", "250ms", "1.5s" or "20"; None for anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return min(LONGEST_WAIT_S, sum(float(number) * _UNIT_S[unit] for number, unit in parts))


def retry_after_s(headers: Mapping[str, str], message: str = "") -> float | None:
    """How long the server asks us to wait: Retry-After (seconds or a date), its message, or until a limit refills.

    Sources: RFC 9110 section 10.2.3, OpenAI's guide "Rate limits", and its 429s ("try again in 1.2s").
    """
    if (wait := seconds(headers.get("retry-after-ms", "") + "ms")) is not None:
        return wait
    if value := headers.get("retry-after", ""):
        if (wait := seconds(value)) is not None:
            return wait
        if (wait := _until(value)) is not None:
            return wait
    if found := _AGAIN_IN.search(message):
        return seconds(found[1])
    resets = {what: seconds(headers.get(f"x-ratelimit-reset-{what}", "")) for what in ("requests", "tokens")}
    told = {what: wait for what, wait in resets.items() if wait is not None}
    used_up = [wait for what, wait in told.items() if headers.get(f"x-ratelimit-remaining-{what}") == "0"]
    if used_up:
        return max(used_up)
    return min(told.values(), default=None)  # either may be the one that was hit; another 429 costs no attempt


def limits(headers: Mapping[str, str]) -> Limits | None:
    """Requests and tokens a minute that the server grants, None where it tells neither."""
    rpm, tpm = (_count(headers.get(f"x-ratelimit-limit-{what}", "")) for what in ("requests", "tokens"))
    return Limits(rpm=rpm, tpm=tpm) if rpm or tpm else None


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _until(date: str) -> float | None:
    try:
        at = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return min(LONGEST_WAIT_S, max(0.0, at - time.time()))

"""Requests and tokens a minute, really enforced: buckets that refill continuously, and their headers."""

from __future__ import annotations

import math

from tests.standin.behaviour import Behaviour


class Bucket:
    """Holds at most `burst_s` seconds of its refill (one unit at least). `per_minute` 0: no limit."""

    def __init__(self, per_minute: int, burst_s: float, now: float) -> None:
        self.per_minute = per_minute
        self.rate = per_minute / 60
        self.capacity = max(1.0, self.rate * burst_s)
        self.level = self.capacity
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken; 0: now. A full bucket gives more than it holds."""
        if not self.per_minute:
            return 0
        self.level = min(self.capacity, self.level + (now - self._at) * self.rate)
        self._at = now
        return max(0.0, min(amount, self.capacity) - self.level) / self.rate

    def take(self, amount: float) -> None:
        """To be called where `wait_s` was 0; may leave the bucket in debt."""
        self.level -= amount

    def headers(self, unit: str) -> dict[str, str]:
        if not self.per_minute:
            return {}
        return {
            f"x-ratelimit-limit-{unit}": str(self.per_minute),
            f"x-ratelimit-remaining-{unit}": str(max(0, math.floor(self.level))),
            f"x-ratelimit-reset-{unit}": duration((self.capacity - self.level) / self.rate),
        }


class Limits:
    """The limits of a behaviour. Times are the event loop's, in seconds."""

    def __init__(self, behaviour: Behaviour, now: float) -> None:
        self._requests = Bucket(behaviour.rpm, behaviour.burst_s, now)
        self._tokens = Bucket(behaviour.tpm, behaviour.burst_s, now)

    def take(self, tokens: int, now: float) -> tuple[str, float]:
        """("", 0) where the call may go on; else what is exhausted, `requests` or `tokens`, and the wait in s."""
        for name, bucket, amount in (("requests", self._requests, 1), ("tokens", self._tokens, tokens)):
            if wait_s := bucket.wait_s(amount, now):
                return name, wait_s
        self._requests.take(1)
        self._tokens.take(tokens)
        return "", 0

    def headers(self) -> dict[str, str]:
        """`x-ratelimit-…` as OpenAI sends them."""
        return self._requests.headers("requests") | self._tokens.headers("tokens")


def retry_after(wait_s: float) -> dict[str, str]:
    """Whole seconds, as the RFC wants them, and milliseconds, as OpenAI adds them."""
    return {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1000))}


def duration(seconds: float) -> str:
    """As in OpenAI's reset headers: `59ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"

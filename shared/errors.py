"""What a handler may raise, named for what happens next. The consumer decides; `shared/retry.py` holds the table."""

from __future__ import annotations


class FleetError(Exception):
    """Base of the fleet's own errors. The message is a sentence for people."""


class RetryLater(FleetError):
    """The world is unwell: the entry is deferred and tried again.

    `after`: seconds that the other side asked us to wait, None for our own backoff.
    `counted`: whether the try counts against MAX_ATTEMPTS (a 429 or an outage of the model does not).
    """

    def __init__(self, message: str, *, after: float | None = None, counted: bool = True) -> None:
        super().__init__(message)
        self.after = after
        self.counted = counted


class Refused(FleetError):
    """This can never succeed: the stage's failure is recorded at once (for a page: a named gap)."""


class Stop(FleetError):
    """Nothing can succeed until a person acts (401, 403): the fleet pauses, no attempt is used up."""


class Gone(FleetError):
    """The job has ended, was cancelled or replaced: drop the entry, write nothing."""

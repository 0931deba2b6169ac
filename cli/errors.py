"""What ends a command early, as a sentence on standard error."""

from __future__ import annotations


class CommandError(Exception):
    """A sentence for people: what happened, with its value, and what to do.

    `code` is the exit code: 2 where nothing could be started or reached, 1 where it was and did not succeed.
    """

    def __init__(self, message: str, *, code: int = 2) -> None:
        super().__init__(message)
        self.code = code

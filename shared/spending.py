"""What the calls for an entry have used, also those that brought nothing: a deferral or a failure is told of them.

A success tells its usage itself, in its outcome. This is for everything else: an answer that can't be read was paid for
all the same, and so were the parts of a summary of which another part failed.
"""

from __future__ import annotations

from contextvars import ContextVar

from shared.outcomes import Usage


class Purse:
    """Of one entry; calls made side by side share it."""

    def __init__(self) -> None:
        self.spent = Usage()


_purse: ContextVar[Purse | None] = ContextVar("purse", default=None)


def begin() -> Purse:
    """What the calls of this task, and of those that it starts, use from now on."""
    purse = Purse()
    _purse.set(purse)
    return purse


def note(usage: Usage) -> None:
    """A call was answered, and this is what it used."""
    if (purse := _purse.get()) is not None:
        purse.spent += usage

"""The first SIGINT, SIGTERM or SIGHUP asks a fleet to drain; a second one ends it at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # HUP: the terminal was closed


class Signals:
    """`stop` is set by the first signal, `force` by the second."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()

    def arrive(self) -> None:
        """Count a signal."""
        (self.force if self.stop.is_set() else self.stop).set()


@contextmanager
def caught() -> Iterator[Signals]:
    """Signals are caught inside the block, in the running loop."""
    signals = Signals()
    loop = asyncio.get_running_loop()
    for signum in _WATCHED:
        loop.add_signal_handler(signum, signals.arrive)
    try:
        yield signals
    finally:
        for signum in _WATCHED:
            loop.remove_signal_handler(signum)

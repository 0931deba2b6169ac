"""The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) asks a fleet to drain; a second one ends it at once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

ECHO_S = 0.5  # `timeout` sends its signal to us and to our group: twice in a moment, meant once


class Signals:
    """`stop` is set by the first signal, `force` by the second."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()
        self._stopped_at = 0.0

    def arrive(self) -> None:
        """Count a signal."""
        if not self.stop.is_set():
            self._stopped_at = time.monotonic()
            self.stop.set()
        elif time.monotonic() - self._stopped_at > ECHO_S:
            self.force.set()


@contextmanager
def caught() -> Iterator[Signals]:
    """Signals are caught inside the block, in the running loop."""
    signals = Signals()
    loop = asyncio.get_running_loop()
    watched = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which is how `nohup` says that it is to go on
        watched.append(signal.SIGHUP)
    for signum in watched:
        loop.add_signal_handler(signum, signals.arrive)
    try:
        yield signals
    finally:
        for signum in watched:
            loop.remove_signal_handler(signum)

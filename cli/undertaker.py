"""Ends the fleet's processes when `up` itself was killed (kill -9, out of memory) and could not do it.

`up` starts `python -m cli.undertaker` with a pipe as its standard input, and writes a line for each process that
starts (`+PID`, or `+PID last` for the server that the others need) and ends (`-PID`). The end of the pipe is the end of
`up`, however it came: what still runs then gets SIGTERM, soon after SIGKILL, with all of its process group. This works
on any POSIX system, needs nothing of the services, and reaches the processes that they have started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

PATIENCE_S = 3  # nobody is left to drain for: time to close files; the ledger makes up for the rest


def main() -> None:
    """Read the lines until the pipe ends, then end what is left."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # it ends with `up`, never before
    running: dict[int, bool] = {}
    for line in sys.stdin:
        pid, _, last = line[1:].strip().partition(" ")
        if line.startswith("+"):
            running[int(pid)] = last == "last"
        else:
            running.pop(int(pid), None)
    if running:
        with contextlib.suppress(OSError):  # the terminal may be gone with `up`
            print(f"quire: up was killed; ending its {len(running)} processes", file=sys.stderr, flush=True)
    end([pid for pid, last in running.items() if not last])
    end([pid for pid, last in running.items() if last])


def end(pids: list[int]) -> None:
    """SIGTERM to each process, and after a moment SIGKILL to its group; returns when that is done."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and any(_signal(pid, 0) for pid in pids):
        time.sleep(0.05)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of zombies
            os.killpg(pid, signal.SIGKILL)


def _signal(pid: int, signum: int) -> bool:
    """Send a signal; False when there is no such process any more."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()

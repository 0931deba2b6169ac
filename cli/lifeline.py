"""The pipe from `up` to the undertaker: as long as it is open, `up` is alive and sees to its processes itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lifeline:
    """Tells the undertaker which processes there are."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def started(self, pid: int, *, last: bool = False) -> None:
        """`last`: to be ended after all others."""
        self._write(f"+{pid} last\n" if last else f"+{pid}\n")

    def ended(self, pid: int) -> None:
        self._write(f"-{pid}\n")

    def _write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed the undertaker: the fleet works without it
            os.write(self._pipe, line.encode())


@contextmanager
def undertaker(project: Path, env: dict[str, str], *, inherit: tuple[int, ...] = ()) -> Iterator[Lifeline]:
    """Start the undertaker; it ends with the block. It keeps the descriptors `inherit` open (the folder's lock)."""
    read_end, write_end = os.pipe()
    command = [
        sys.executable,
        "-S",
        "-m",
        "cli.undertaker",
    ]  # -S: it needs no site-packages, and is there at once
    try:
        process = subprocess.Popen(
            command,
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            cwd=project,
            env=env,
            pass_fds=inherit,
            start_new_session=True,  # the terminal's ctrl-C is not for it
        )
    except OSError:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    try:
        yield Lifeline(write_end)
    finally:
        os.close(write_end)
        process.wait()

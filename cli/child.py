"""One process of the fleet, kept running until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cli.lifeline import Lifeline

BACKOFF_FIRST_S = 0.5  # a crash that was chance costs half a second
BACKOFF_MAX_S = 30.0  # one that comes back each time costs little of the machine
HEALTHY_S = 60.0  # who ran that long starts at the first backoff again
HOPELESS_DEATHS = 3  # so often before it was ever ready: it will not get better by itself
CANNOT_START = 2  # the exit code of a service that has said in a sentence why it can't start
KILLED_BY_US_S = 5.0  # SIGKILL needs no longer, unless the system itself hangs

Tell = Callable[[str], None]
"""Says a sentence to whoever runs the command."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """How a process is started, known to be ready, and when it is drained."""

    name: str
    """Such as `page_worker-2`."""
    service: str
    argv: list[str]
    env: dict[str, str]
    cwd: Path
    port: int
    ready: Callable[[], Awaitable[str]]
    """Answers empty when the process can work, else a sentence."""
    stage: int
    """Drained in ascending order: what takes work in first, what everything needs last."""
    server: bool = False
    """The server that the others need: where things end in a hurry, it ends after them."""
    own_log: Path | None = None
    """The file that the process itself writes its log to; None: it writes to its standard error."""
    inherit: tuple[int, ...] = ()
    """Descriptors that the process keeps open."""


class Child:
    """One process. `pid` is 0 while it does not run; `restarts` counts how often it was started again."""

    def __init__(
        self, spec: Spec, *, log: Path | None, lifeline: Lifeline, tell: Tell, changed: Callable[[], None]
    ) -> None:
        """`log`: the file that takes what the process writes; None: our standard error.

        `changed`: called whenever the process has started or ended.
        """
        self.spec = spec
        self.log = log
        self.pid = 0
        self.restarts = 0
        self.was_ready = False
        self.exit_code: int | None = None
        self._deaths = 0
        self._lifeline = lifeline
        self._tell = tell
        self._changed = changed
        self._stopping = asyncio.Event()

    @property
    def hopeless(self) -> bool:
        """It was never ready, and starting it once more would not help."""
        return not self.was_ready and (
            self._deaths >= HOPELESS_DEATHS or (self._deaths > 0 and self.exit_code == CANNOT_START)
        )

    async def keep(self) -> None:
        """Start the process, and start it again with backoff whenever it ends; returns after `stop`."""
        backoff_s = 0.0
        while not self._stopping.is_set():
            started = time.monotonic()
            self.exit_code = code = await self._run()
            if self._stopping.is_set():
                if code not in (0, -signal.SIGTERM, -signal.SIGKILL):
                    self._tell(f"{self.spec.name} {_ending(code)} while draining")
                return
            if self.hopeless:
                return
            backoff_s = backoff(backoff_s, lived_s=time.monotonic() - started, exit_code=code)
            if code != 0:
                self._tell(f"{self.spec.name} {_ending(code)}; starting it again in {backoff_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff_s)
            self.restarts += 1

    async def _run(self) -> int:
        """One life of the process; its exit code, negative for the signal that ended it."""
        with self._output() as output:
            process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.spec.env,
                cwd=self.spec.cwd,
                pass_fds=self.spec.inherit,
                start_new_session=True,  # the terminal's ctrl-C is for `up` alone, which drains in order
            )
        self.pid = process.pid
        self._lifeline.started(self.pid, last=self.spec.server)
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        self._changed()
        code = await process.wait()
        self._signal(signal.SIGKILL, group=True)  # what it has started itself and left behind
        self._lifeline.ended(self.pid)
        self.pid = 0
        if code != 0:
            self._deaths += 1
        self._changed()
        return code

    async def stop(self, keeping: asyncio.Task[None], *, grace_s: float, force: asyncio.Event) -> None:
        """Ask the process to finish what is in hand; end it when the grace is over, or when `force` is set.

        `keeping`: the task that runs `keep`.
        """
        self._stopping.set()
        self._signal(signal.SIGTERM)
        forced = asyncio.create_task(force.wait(), name=f"force {self.spec.name}")
        try:
            await asyncio.wait({keeping, forced}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forced.cancel()
        if not keeping.done():
            if not force.is_set():
                self._tell(f"{self.spec.name} has not ended {grace_s:g} s after SIGTERM: killing it")
            self._signal(signal.SIGKILL, group=True)
            await asyncio.wait({keeping}, timeout=KILLED_BY_US_S)
        if keeping.done():
            keeping.result()

    def _signal(self, signum: signal.Signals, *, group: bool = False) -> None:
        """Signal the process if it runs: itself, so that it drains what it has started, or its whole group."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of zombies
                (os.killpg if group else os.kill)(self.pid, signum)

    @contextmanager
    def _output(self) -> Iterator[int]:
        """Where the process writes: its log file, emptied at the first start, or our own standard error."""
        if self.log is None:
            yield 2
            return
        with self.log.open("ab" if self.restarts else "wb") as file:
            yield file.fileno()


def backoff(last_s: float, *, lived_s: float, exit_code: int) -> float:
    """Seconds before a process that has ended is started again; `last_s`: the wait before, 0 for none.

    Exit code 0 is no failure: the process has drained by itself (MAX_TASKS_PER_WORKER).
    """
    if exit_code == 0 or lived_s >= HEALTHY_S:
        return BACKOFF_FIRST_S
    return min(max(2 * last_s, BACKOFF_FIRST_S), BACKOFF_MAX_S)


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

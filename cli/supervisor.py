"""Runs the processes of a fleet on this machine.

Promises:
- The fleet is ready only when every one of its processes is.
- What dies is started again, after 0.5 s, doubling to 30 s, and from 0.5 s again once it ran for a minute.
- A drain follows the pipeline: a stage's processes are asked to end only when those of the stage before have ended.
- Nothing is left behind: whatever the reason that the block ends, every process in it has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

from cli.child import Child, Spec, Tell
from cli.errors import CommandError
from cli.lifeline import Lifeline
from cli.signals import Signals

_POLL_S = 0.1
_TAIL = 8  # lines of a log: the reason is among the last
_TELL_S = 10.0  # a start that takes longer than this is explained, and again as often


class Fleet:
    """The processes that run, in the order of their specs."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.changed: Callable[[], None] = lambda: None
        """Called whenever a process has started or ended."""

    async def ready(
        self,
        signals: Signals,
        *,
        tell: Tell,
        progress: Callable[[int, int], None],
        limit_s: float | None = None,
    ) -> bool:
        """Return True when every process is ready, False when a signal came first.

        `progress(ready, all)` is called whenever the first number changes. Raises CommandError when a process can't be
        started, or when `limit_s` is over.
        """
        started = told = time.monotonic()
        waiting = list(self.children)
        while waiting and not signals.stop.is_set():
            answers = await asyncio.gather(*(child.spec.ready() for child in waiting))
            for child, answer in zip(waiting, answers, strict=True):
                child.was_ready = child.was_ready or not answer
                if child.hopeless:
                    raise CommandError(_why_not(child))
            ailing = [(child, answer) for child, answer in zip(waiting, answers, strict=True) if answer]
            if len(ailing) < len(waiting):
                progress(len(self.children) - len(ailing), len(self.children))
            waiting = [child for child, _ in ailing]
            sentence = ", ".join(f"{child.spec.name} ({answer})" for child, answer in ailing)
            now = time.monotonic()
            if waiting and limit_s is not None and now - started > limit_s:
                raise CommandError(f"not ready after {limit_s:g} s: {sentence}{_where(waiting)}")
            if waiting and now - told > _TELL_S:
                tell(f"waiting for {sentence}")
                told = now
            if waiting:
                await asyncio.sleep(_POLL_S)
        return not waiting


@asynccontextmanager
async def running(
    specs: Iterable[Spec],
    signals: Signals,
    *,
    grace_s: float,
    lifeline: Lifeline,
    tell: Tell,
    logs: Path | None = None,
) -> AsyncIterator[Fleet]:
    """Run these processes as long as the block lasts, then drain them.

    `grace_s`: how long one may take to end after SIGTERM. `logs`: a folder for one file a process, else they write to
    our standard error.
    """
    fleet = Fleet()
    for spec in specs:
        log = logs / f"{spec.name}.log" if logs else None
        fleet.children.append(Child(spec, log=log, lifeline=lifeline, tell=tell, changed=lambda: fleet.changed()))
    keeping = {child: asyncio.create_task(child.keep(), name=child.spec.name) for child in fleet.children}
    try:
        yield fleet
    finally:
        for _, stage in groupby(
            sorted(fleet.children, key=lambda child: child.spec.stage), key=lambda child: child.spec.stage
        ):
            await asyncio.gather(*(child.stop(keeping[child], grace_s=grace_s, force=signals.force) for child in stage))


def _why_not(child: Child) -> str:
    """A sentence on a process that can't be started, with the end of its log where that is a file."""
    sentence = f"{child.spec.name} can't be started: it ended with exit code {child.exit_code} before it was ready"
    log = child.spec.own_log or child.log
    if log is None or not log.exists():
        return f"{sentence}; what it said stands above"
    tail = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join([f"{sentence}. The end of {log}:", *tail])


def _where(children: list[Child]) -> str:
    logs = [str(child.log) for child in children if child.log]
    return f"; their logs: {', '.join(logs)}" if logs else ""

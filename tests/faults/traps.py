"""A trap: what is to happen when a service comes to a point. Tests set it; the launched services walk into it.

A trap is a file. Whoever takes it away first is caught, so that it catches one process of a fleet, once; the log says
which and where, for a test must know that its rare path was really taken.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError

Action = Literal["kill", "stop", "cancel", "disconnect", "lose", "block", "wait", "term"]
"""`kill`: SIGKILL. `stop`: SIGSTOP, until somebody sends SIGCONT. `cancel`: the task is cancelled. `disconnect`: every
connection to Redis is shut. `lose`: a connection error is raised, as where a reply is lost. `block`: the event loop
stands still for `seconds`. `wait`: the task does, other work goes on. `term`: SIGTERM, and then as `wait`, so that the
process drains with this in hand."""


class Trap(msgspec.Struct, frozen=True, kw_only=True):
    """`match`: what is in hand must contain it. `nth`: the n-th time that a process comes by, counted from when it is
    set."""

    service: str
    point: str
    action: Action
    match: str = ""
    nth: int = 1
    seconds: float = 0
    delay_s: float = 0
    """Walked on for so long after the point, while other work goes on."""
    always: bool = False
    """Catches every process that comes by, each time."""


class Caught(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log."""

    pid: int
    service: str
    point: str
    action: str
    told: str
    at: float
    """`time.time()`."""


class Traps:
    """The traps that are set in a folder, if any, and the log of those that were walked into."""

    def __init__(self, folder: Path) -> None:
        self._set = folder / "traps"
        self._set.mkdir(exist_ok=True)
        self._log = folder / "caught.jsonl"
        self._passed: Counter[Trap] = Counter()

    def set(self, *traps: Trap) -> None:
        """In place of those before; the log begins anew."""
        self.clear()
        for number, trap in enumerate(traps):
            fresh = self._set / f"{number}.new"
            fresh.write_bytes(msgspec.json.encode(trap))
            fresh.rename(fresh.with_suffix(".json"))

    def clear(self) -> None:
        for trap in self._set.iterdir():
            trap.unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)

    def caught(self) -> list[Caught]:
        """Who walked into the trap so far."""
        if not self._log.exists():
            return []
        return [msgspec.json.decode(line, type=Caught) for line in self._log.read_bytes().splitlines()]

    def spring(self, service: str, point: str, told: str) -> Trap | None:
        """The trap, if this process is caught by one now."""
        for path in sorted(self._set.glob("*.json")):
            try:
                trap = msgspec.json.decode(path.read_bytes(), type=Trap)
            except FileNotFoundError:  # another process was caught by it just now
                continue
            if (trap.service, trap.point) == (service, point) and trap.match in told and self._catches(trap, path):
                self._note(trap, told)
                return trap
        return None

    def _catches(self, trap: Trap, path: Path) -> bool:
        self._passed[trap] += 1
        if self._passed[trap] < trap.nth:
            return False
        if not trap.always:
            try:
                path.rename(path.with_suffix(f".{os.getpid()}"))
            except FileNotFoundError:  # another process was faster
                return False
        return True

    def _note(self, trap: Trap, told: str) -> None:
        line = Caught(
            pid=os.getpid(),
            service=trap.service,
            point=trap.point,
            action=trap.action,
            told=told[:200],
            at=time.time(),
        )
        with self._log.open("ab", buffering=0) as log:
            log.write(msgspec.json.encode(line) + b"\n")


async def suffer(trap: Trap, *, redis_port: int) -> None:
    """What the trap does to this process."""
    if trap.delay_s:
        await asyncio.sleep(trap.delay_s)
    match trap.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        case "disconnect":
            disconnect(redis_port)
        case "lose":
            raise RedisConnectionError("the reply was lost")
        case "block":
            time.sleep(trap.seconds)  # noqa: ASYNC251 - the loop is to stand still
        case "wait":
            await asyncio.sleep(trap.seconds)
        case "term":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(trap.seconds)


def disconnect(port: int) -> int:
    """Shut every connection of this process to that port. Answers how many there were."""
    shut = 0
    for descriptor in range(3, 1024):
        try:
            with socket.socket(fileno=os.dup(descriptor)) as found:
                if found.getpeername()[1] == port:
                    found.shutdown(socket.SHUT_RDWR)
                    shut += 1
        except (OSError, IndexError) as error:  # no descriptor, no socket, not connected, or not of the network
            if isinstance(error, OSError) and error.errno not in (errno.EBADF, errno.ENOTSOCK, errno.ENOTCONN):
                raise
    return shut

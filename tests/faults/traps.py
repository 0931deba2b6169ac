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

Action = Literal["kill", "stop", "cancel", "disconnect", "lose", "block"]
"""`kill`: SIGKILL. `stop`: SIGSTOP, until somebody sends SIGCONT. `cancel`: the task is cancelled. `disconnect`: every
connection to Redis is shut. `lose`: a connection error is raised, as where a reply is lost. `block`: the event loop
stands still for `seconds`."""


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
    """The trap that is set in a folder, if any, and the log of those that were walked into."""

    def __init__(self, folder: Path) -> None:
        self._set = folder / "trap.json"
        self._log = folder / "caught.jsonl"
        self._passed: Counter[Trap] = Counter()

    def set(self, trap: Trap) -> None:
        """In place of the one before; the log begins anew."""
        self.clear()
        fresh = self._set.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(trap))
        fresh.rename(self._set)

    def clear(self) -> None:
        self._set.unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)

    def caught(self) -> list[Caught]:
        """Who walked into the trap so far."""
        if not self._log.exists():
            return []
        return [msgspec.json.decode(line, type=Caught) for line in self._log.read_bytes().splitlines()]

    def spring(self, service: str, point: str, told: str) -> Trap | None:
        """The trap, if this process is caught by it now."""
        try:
            trap = msgspec.json.decode(self._set.read_bytes(), type=Trap)
        except FileNotFoundError:
            return None
        if (trap.service, trap.point) != (service, point) or trap.match not in told:
            return None
        self._passed[trap] += 1
        if self._passed[trap] < trap.nth:
            return None
        if not trap.always:
            try:
                self._set.rename(self._set.with_suffix(f".{os.getpid()}"))
            except FileNotFoundError:  # another one was faster
                return None
        line = Caught(
            pid=os.getpid(), service=service, point=point, action=trap.action, told=told[:200], at=time.time()
        )
        with self._log.open("ab", buffering=0) as log:
            log.write(msgspec.json.encode(line) + b"\n")
        return trap


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

"""The data folder: everything that this machine's fleet keeps, and who is using it.

lock                     locked by the `up` that uses the folder, and by its embedded server; holds the pid of `up`
format                   the form of all that lies here, a number: a release refuses what a newer one has written
fleet.json               while that fleet is ready: where it can be reached
prometheus-targets.json  the same for Prometheus (file_sd)
redis/ blobs/ logs/ demo/
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cli.errors import CommandError

PROJECT = Path(__file__).resolve().parent.parent

FORMAT = 1
"""Of the folder, the keys in its Redis and its blobs. A release that an older one could not follow counts on."""

_ORPHANS_S = (
    15.0  # how long what a killed `up` left behind may take to end (undertaker.PATIENCE_S, twice, and a margin)
)

_GLANCE_S = 0.3  # `Folder.running` takes the lock for a moment


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a running fleet."""

    name: str
    service: str
    pid: int
    """0 while it is being started again."""
    port: int
    restarts: int


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that runs, as `fleet.json` tells it."""

    pid: int
    """Of `up`."""
    api_url: str
    redis_url: str
    processes: list[Process]


class Folder:
    """A data folder. Nothing in it is read or written before it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def demo(self) -> Path:
        return self.path / "demo"

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def _fleet(self) -> Path:
        return self.path / "fleet.json"

    @property
    def _targets(self) -> Path:
        return self.path / "prometheus-targets.json"

    def running(self) -> Running | None:
        """The fleet that is ready in this folder; None if there is none.

        The file that a killed one left behind is not believed: it does not hold the lock.
        """
        try:
            content = self._fleet.read_bytes()
            with self._lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            fleet = msgspec.json.decode(content, type=Running)
            return fleet if _alive(fleet.pid) else None
        return None

    def publish(self, fleet: Running) -> None:
        """Write where the fleet can be reached; each file is replaced whole."""
        targets = [
            {
                "targets": [f"127.0.0.1:{process.port}"],
                "labels": {"service": process.service, "process": process.name},
            }
            for process in fleet.processes
            if process.service != "redis"  # it speaks no HTTP
        ]
        for path, content in ((self._fleet, fleet), (self._targets, targets)):
            draft = path.with_suffix(".tmp")
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
            draft.chmod(0o600)  # the Redis URL may hold a password
            draft.replace(path)

    def withdraw(self) -> None:
        """The fleet can no longer be reached."""
        self._fleet.unlink(missing_ok=True)
        self._targets.unlink(missing_ok=True)

    def adopt(self) -> None:
        """Take over what an older release has left, or nothing. Raises CommandError for what a newer one has left."""
        mark = self.path / "format"
        try:
            said = mark.read_text().strip()
        except FileNotFoundError:  # a new folder, or that of a release that did not write it
            said = "0"
        if not said.isdigit():
            raise CommandError(
                f"DATA_DIR: {mark} should hold a number and holds {said[:40]!r}: this is no data folder of Quire, "
                "or a damaged one; set DATA_DIR to another folder, or restore a backup of this one"
            )
        if int(said) > FORMAT:
            raise CommandError(
                f"DATA_DIR: {self.path} was used by a newer release (format {said}; this one knows up to {FORMAT}): "
                "start that release, or set DATA_DIR to another folder"
            )
        draft = mark.with_suffix(".tmp")
        draft.write_text(f"{FORMAT}\n")
        draft.replace(mark)

    def holder(self) -> int:
        """Pid of the `up` that uses the folder, 0 if the lock file does not say."""
        content = self._lock.read_text().strip()
        return int(content) if content.isdigit() else 0


class InUse(CommandError):
    """Another `up` uses the folder."""


def find(environ: Mapping[str, str]) -> Folder:
    """DATA_DIR, or `data` in the project's folder."""
    given = environ.get("DATA_DIR", "")
    return Folder(Path(given).expanduser().absolute() if given else PROJECT / "data")


@asynccontextmanager
async def claimed(folder: Folder) -> AsyncIterator[int]:
    """Use the folder alone; yields the lock's descriptor.

    Processes that inherit the descriptor hold the lock with us, so that a folder is free only when the last one that
    writes to it has ended. Waits for what a killed `up` left behind. Raises InUse where a live one has the folder, and
    CommandError where it can't be used or is a newer release's.
    """
    try:
        for path in (folder.path, folder.redis, folder.blobs, folder.logs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(f"DATA_DIR: {folder.path} can't be used: {error.strerror}") from error
    try:
        await _take(folder, lock)
        folder.adopt()
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        folder.withdraw()
        try:
            yield lock
        finally:
            folder.withdraw()
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


async def _take(folder: Folder, lock: int) -> None:
    started = time.monotonic()
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = folder.holder()
        waited_s = time.monotonic() - started
        if _alive(holder) and waited_s > _GLANCE_S:
            raise InUse(
                f"{folder.path} is in use by another fleet (process {holder}): "
                "stop that one, or set DATA_DIR to another folder"
            )
        if waited_s > _ORPHANS_S:
            raise InUse(
                f"{folder.path} is still locked by what process {holder}, which was killed, left behind: "
                "look for a valkey-server with this folder and end it, or set DATA_DIR to another folder"
            )
        await asyncio.sleep(0.1)


def _alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""The fleet under chaos: each process is started here, restarted when it dies, and reaches Redis through a proxy."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec

from tests.chaos.scale import Scale
from tests.fleets import PROJECT
from tests.proxies import Proxy, proxy
from tests.servers import free_port

LAUNCHER = Path(__file__).with_name("launch.py")
PROXIES = 3
RESTART_S = (0.2, 2.0)
READY_S = 90
ENDING_S = 60
_HANDED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "VIRTUAL_ENV")
_LINE_BYTES = 1 << 20


class Line(msgspec.Struct):
    """A line of a service's log, as far as it is looked at."""

    action: str = ""
    worker: str = ""
    owner: str = ""
    message: str = ""


class Part:
    """One place in the fleet and the process that fills it now."""

    def __init__(self, service: str, number: int, *, port: int, through: Proxy, clock: Path) -> None:
        self.name = f"{service}-{number}"
        self.service = service
        self.port = port
        self.through = through
        self.clock = clock
        self.tree = PROJECT
        """Where the release lies that fills it from its next start on."""
        self.runs = PROJECT
        """Where the release lies that fills it now."""
        self.process: asyncio.subprocess.Process | None = None
        self.worker = ""
        """Its name in the consumer groups, once it has told."""
        self.killed = False
        self.stopped = False
        self.starts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """None while it is away."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    def send(self, signum: signal.Signals) -> bool:
        """False where there is no process."""
        if (pid := self.pid) is None:
            return False
        self.killed |= signum == signal.SIGKILL
        self.stopped = signum == signal.SIGSTOP
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
        return True


class Fleet:
    """All parts, and what they have said."""

    def __init__(self, folder: Path, scale: Scale, proxies: list[Proxy], *, model_url: str, seed: int) -> None:
        self.folder = folder
        self.proxies = proxies
        self.said: Counter[str] = Counter()
        """Actions of log lines, of all processes."""
        self.fell: list[str] = []
        """Processes that ended though nobody wanted it: who, how, and their last words."""
        self.taken_over: list[tuple[float, str]] = []
        """When (monotonic) an entry was taken over, and from which worker."""
        self._scale = scale
        self._model_url = model_url
        self._random = random.Random(f"fleet {seed}")
        self._ending = False
        (folder / "logs").mkdir()
        self.parts = [self._part(service, n) for service, count in scale.counts.items() for n in range(1, count + 1)]

    def _part(self, service: str, number: int) -> Part:
        clock = self.folder / f"clock-{service}-{number}"
        clock.write_bytes(bytes(8))
        through = self.proxies[(number + len(service)) % len(self.proxies)]
        return Part(service, number, port=free_port(), through=through, clock=clock)

    def of(self, service: str) -> list[Part]:
        return [part for part in self.parts if part.service == service]

    async def fill(self, part: Part) -> None:
        """Keep a process in this place until the end."""
        while not self._ending:
            part.killed = part.stopped = False
            part.starts += 1
            tree = part.runs = part.tree
            process = part.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                str(LAUNCHER),
                f"services.{part.service}",
                cwd=tree,
                env=self._environment(part),
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
            )
            tail = await self._listen(part, process)
            code = await process.wait()
            if code not in (0, -signal.SIGTERM) and not part.killed:  # it may be told to end before it can listen
                release = "" if tree == PROJECT else " of the previous release"
                self.fell.append(f"{part.name}{release} ended with {code}: {tail}")
            if not self._ending:
                await asyncio.sleep(self._random.uniform(*RESTART_S))

    def _environment(self, part: Part) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        return {
            **kept,
            **self._scale.environment(),
            "PYTHONPATH": str(part.tree),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CLOCK": str(part.clock),
            "REDIS_URL": f"redis://127.0.0.1:{part.through.port}/0",
            "BLOB_URL": f"file://{self.folder / 'blobs'}",
            "OPENAI_BASE_URL": self._model_url,
            "HOST": "127.0.0.1",
            "PORT": str(part.port),
        }

    async def _listen(self, part: Part, process: asyncio.subprocess.Process) -> str:
        """Read its log until it ends, and keep it. Answers its last words.

        Through a pipe: it must be able to speak while it can write no file.
        """
        assert process.stderr is not None
        last = ""
        with (self.folder / "logs" / f"{part.name}.log").open("ab") as log:
            while line := await process.stderr.readline():
                log.write(line)
                if not line.startswith(b"{"):
                    last = line.decode(errors="replace").strip(" |+-\n") or last
                    continue
                with suppress(msgspec.MsgspecError):
                    self._note(part, msgspec.json.decode(line, type=Line))
        return last

    def _note(self, part: Part, line: Line) -> None:
        self.said[line.action] += 1
        if line.worker:
            part.worker = line.worker
        if line.action == "reclaimed":
            self.taken_over.append((time.monotonic(), line.owner))

    async def ready(self) -> None:
        """Return when every part answers that it is ready. Raises TimeoutError, naming those that aren't."""
        waiting = list(self.parts)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            deadline = time.monotonic() + READY_S
            while waiting := [part for part in waiting if not await is_ready(session, part)]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not ready within {READY_S} s: {[part.name for part in waiting]}")
                await asyncio.sleep(0.1)

    async def end(self) -> None:
        """SIGTERM to all; what does not end in time falls."""
        self._ending = True
        for part in self.parts:
            part.send(signal.SIGCONT)
            part.send(signal.SIGTERM)
        deadline = time.monotonic() + ENDING_S
        while left := [part for part in self.parts if part.pid is not None]:
            if time.monotonic() > deadline:
                self.fell += [f"{part.name} did not end within {ENDING_S} s of SIGTERM" for part in left]
                self.kill()
                return
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        self._ending = True
        for part in self.parts:
            part.send(signal.SIGKILL)


async def is_ready(session: aiohttp.ClientSession, part: Part) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.get(f"{part.url}/readyz") as answer:
            return answer.status == 200
    return False


@asynccontextmanager
async def running(scale: Scale, folder: Path, *, redis_port: int, model_url: str, seed: int) -> AsyncIterator[Fleet]:
    """A fleet whose parts are all ready; gone afterwards."""
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(proxy(redis_port)) for _ in range(PROXIES)]
        fleet = Fleet(folder, scale, proxies, model_url=model_url, seed=seed)
        async with asyncio.TaskGroup() as group:
            for part in fleet.parts:
                group.create_task(fleet.fill(part), name=part.name)
            try:
                await fleet.ready()
                yield fleet
            finally:
                fleet.kill()


@asynccontextmanager
async def previous_release(commit: str) -> AsyncIterator[Path | None]:
    """Its files in a temporary folder; None where this copy of the project does not have the commit."""
    with tempfile.TemporaryDirectory(prefix="quire-previous-") as folder:
        process = await asyncio.create_subprocess_shell(
            f"git archive {commit} | tar -x -C {folder}", cwd=PROJECT, stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()
        tree = Path(folder)
        yield tree if (tree / "services").is_dir() else None

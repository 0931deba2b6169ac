"""The supervisor with small stand-ins for the services: real processes that write down what happens to them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from cli import probe, supervisor
from cli.child import BACKOFF_MAX_S, Spec, backoff
from cli.datafolder import PROJECT
from cli.errors import CommandError
from cli.lifeline import undertaker
from cli.ports import choose
from cli.signals import ECHO_S, Signals
from cli.supervisor import Fleet
from tests.conftest import eventually

STAND_IN = """
import os, signal, socket, subprocess, sys, time

def note(event):
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{os.environ['NAME']} {event}\\n")

def drain(*_):
    note("asked to end")
    time.sleep(float(os.environ.get("DRAIN_S", 0)))
    note("ended")
    sys.exit(0)

if os.environ.get("DEAF"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, drain)
if code := os.environ.get("EXIT"):
    print("DPI: expected int, got 'many'", file=sys.stderr)
    sys.exit(int(code))
if os.environ.get("HELPER"):
    helper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    note(f"helper {helper.pid}")
time.sleep(float(os.environ.get("START_S", 0)))
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
ready_at = time.monotonic() + float(os.environ.get("READY_S", 0))
note(f"started {os.getpid()}")
while True:
    connection, _ = server.accept()
    connection.recv(1000)
    if time.monotonic() >= ready_at:
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n{}")
    else:
        connection.sendall(b'HTTP/1.0 503 No\\r\\n\\r\\n{"problems": ["Redis does not answer"]}')
    connection.close()
"""


class Journal:
    """What the stand-ins wrote down, and what the supervisor said."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal"
        self.path.touch()
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)
        self.said: list[str] = []

    def spec(self, name: str, *, stage: int = 0, **env: object) -> Spec:
        (port,) = choose(1)
        return Spec(
            name=name,
            service=name.partition("-")[0],
            argv=[sys.executable, "-S", "-c", STAND_IN],
            env={"JOURNAL": str(self.path), "NAME": name, "PORT": str(port)} | {k: str(v) for k, v in env.items()},
            cwd=PROJECT,
            port=port,
            ready=partial(probe.readyz, "127.0.0.1", port),
            stage=stage,
        )

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def pids(self, name: str, event: str = "started") -> list[int]:
        """Of every process that wrote this."""
        return [int(line.split()[2]) for line in self.lines() if line.startswith(f"{name} {event} ")]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@asynccontextmanager
async def running(
    journal: Journal, *specs: Spec, grace_s: float = 10, signals: Signals | None = None
) -> AsyncIterator[Fleet]:
    with undertaker(PROJECT, {"PYTHONPATH": str(PROJECT)}) as lifeline:
        async with supervisor.running(
            specs,
            signals or Signals(),
            grace_s=grace_s,
            lifeline=lifeline,
            tell=journal.said.append,
            logs=journal.logs,
        ) as fleet:
            yield fleet


async def ready(fleet: Fleet, journal: Journal, *, signals: Signals | None = None, limit_s: float | None = 20) -> bool:
    return await fleet.ready(
        signals or Signals(), tell=journal.said.append, progress=lambda _ready, _all: None, limit_s=limit_s
    )


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for yet (a zombie) does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


async def becomes(check: Callable[[], bool], *, within_s: float = 10) -> None:
    async def asked() -> bool:
        return check()

    await eventually(asked, within_s=within_s)


async def test_the_fleet_is_ready_only_when_every_one_of_its_processes_is(journal: Journal) -> None:
    started = time.monotonic()
    async with running(journal, journal.spec("quick"), journal.spec("slow", READY_S=0.7)) as fleet:
        assert await ready(fleet, journal)
        assert time.monotonic() - started > 0.7
        assert all(child.was_ready for child in fleet.children)


async def test_what_dies_is_started_again(journal: Journal) -> None:
    async with running(journal, journal.spec("worker")) as fleet:
        assert await ready(fleet, journal)
        (first,) = journal.pids("worker")
        os.kill(first, signal.SIGKILL)
        await becomes(lambda: len(journal.pids("worker")) == 2)
        assert fleet.children[0].restarts == 1
    assert journal.said == ["worker was ended by SIGKILL; starting it again in 0.5 s"]
    assert not any(alive(pid) for pid in journal.pids("worker"))


@pytest.mark.parametrize(
    ("last_s", "lived_s", "exit_code", "expected_s"),
    [
        (0, 0.1, 1, 0.5),
        (0.5, 0.1, 1, 1),
        (16, 3, -9, BACKOFF_MAX_S),
        (30, 3, -9, BACKOFF_MAX_S),
        (30, 60, 1, 0.5),
        (30, 1, 0, 0.5),
    ],
)
def test_the_wait_before_a_restart_doubles_up_to_half_a_minute_and_a_healthy_minute_resets_it(
    last_s: float, lived_s: float, exit_code: int, expected_s: float
) -> None:
    assert backoff(last_s, lived_s=lived_s, exit_code=exit_code) == expected_s


async def test_a_drain_follows_the_pipeline(journal: Journal) -> None:
    specs = [
        journal.spec("keeper", stage=2),
        journal.spec("worker-1", stage=1, DRAIN_S=0.3),
        journal.spec("worker-2", stage=1, DRAIN_S=0.2),
        journal.spec("gateway", stage=0, DRAIN_S=0.2),
    ]
    async with running(journal, *specs) as fleet:
        assert await ready(fleet, journal)
    drained = [line for line in journal.lines() if "started" not in line]
    assert drained[:2] == ["gateway asked to end", "gateway ended"]
    assert sorted(drained[2:4]) == ["worker-1 asked to end", "worker-2 asked to end"]
    assert drained[4:] == ["worker-2 ended", "worker-1 ended", "keeper asked to end", "keeper ended"]
    assert journal.said == []


async def test_a_second_signal_ends_everything_at_once(journal: Journal) -> None:
    signals = Signals()
    started = time.monotonic()
    async with running(journal, journal.spec("a", DRAIN_S=60), journal.spec("b", stage=1), signals=signals) as fleet:
        assert await ready(fleet, journal)
        signals.arrive()
        asyncio.get_running_loop().call_later(ECHO_S + 0.1, signals.arrive)
    assert time.monotonic() - started < 10
    assert not any(alive(pid) for name in "ab" for pid in journal.pids(name))


async def test_a_process_that_does_not_end_in_its_grace_is_killed_and_told(journal: Journal) -> None:
    async with running(journal, journal.spec("worker", DEAF=1), grace_s=0.3) as fleet:
        assert await ready(fleet, journal)
    assert journal.said == ["worker has not ended 0.3 s after SIGTERM: killing it"]
    assert not alive(journal.pids("worker")[0])


async def test_what_a_process_has_started_itself_ends_with_it(journal: Journal) -> None:
    async with running(journal, journal.spec("splitter", HELPER=1)) as fleet:
        assert await ready(fleet, journal)
        os.kill(journal.pids("splitter")[0], signal.SIGKILL)
        await becomes(lambda: not alive(journal.pids("splitter", "helper")[0]))
    assert not any(alive(pid) for pid in journal.pids("splitter", "helper"))


async def test_the_terminals_ctrl_c_reaches_no_process_of_the_fleet(journal: Journal) -> None:
    async with running(journal, journal.spec("worker")) as fleet:
        assert await ready(fleet, journal)
        assert os.getpgid(fleet.children[0].pid) != os.getpgid(0)
        assert os.getsid(fleet.children[0].pid) != os.getsid(0)


async def test_a_wrong_setting_is_told_with_what_the_service_says_of_it(journal: Journal) -> None:
    async with running(journal, journal.spec("keeper"), journal.spec("splitter-1", EXIT=2)) as fleet:
        with pytest.raises(CommandError, match=r"splitter-1 can't be started.*exit code 2") as caught:
            await ready(fleet, journal)
    assert str(caught.value).endswith("DPI: expected int, got 'many'")
    assert not any(alive(pid) for pid in journal.pids("keeper"))


async def test_a_process_that_dies_three_times_before_it_was_ready_is_given_up(journal: Journal) -> None:
    async with running(journal, journal.spec("gateway-1", EXIT=1)) as fleet:
        with pytest.raises(CommandError, match="gateway-1 can't be started"):
            await ready(fleet, journal)
    assert len(journal.said) == 2


async def test_a_start_that_takes_too_long_is_told_with_its_reason(journal: Journal) -> None:
    async with running(journal, journal.spec("keeper", READY_S=60)) as fleet:
        with pytest.raises(CommandError, match=r"not ready after 0.5 s: keeper \(Redis does not answer\)"):
            await ready(fleet, journal, limit_s=0.5)


async def test_a_signal_ends_the_wait_for_a_slow_start(journal: Journal) -> None:
    signals = Signals()
    async with running(journal, journal.spec("keeper", START_S=60), signals=signals) as fleet:
        asyncio.get_running_loop().call_later(0.2, signals.arrive)
        assert not await ready(fleet, journal, signals=signals)


DRIVER = """
import asyncio, os, sys
from functools import partial
from pathlib import Path
from tests.integration.test_cli_supervisor import Journal, ready, running

async def main():
    journal = Journal(Path(sys.argv[1]))
    specs = [journal.spec("worker", HELPER=1), journal.spec("deaf", DEAF=1)]
    async with running(journal, *specs) as fleet:
        await ready(fleet, journal)
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_when_up_itself_is_killed_nothing_is_left_behind(tmp_path: Path) -> None:
    """SIGKILL can't be caught: the undertaker sees the end of its pipe."""
    driver = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DRIVER, str(tmp_path), cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    assert await driver.wait() == -signal.SIGKILL
    journal = Journal(tmp_path)
    pids = [*journal.pids("worker"), *journal.pids("worker", "helper"), *journal.pids("deaf")]
    assert len(pids) == 3
    await becomes(lambda: not any(alive(pid) for pid in pids))

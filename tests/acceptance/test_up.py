"""`./quire up` and `./quire demo` with real processes: the embedded server, the local model, every service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from cli.datafolder import PROJECT
from cli.ports import choose

READY_S = 8
"""The promise, on a machine that does nothing else."""
PATIENCE_S = 60
"""Tests share the machine."""
SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
GIVEN = ("REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "BLOB_URL", "HOST", "PORT", "QUIRE_URL", "LOG_FORMAT")
"""Variables that would make it another fleet."""


def environment(data: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in GIVEN}
    return {**kept, "DATA_DIR": str(data), "PYTHONPATH": str(PROJECT), **more}


def quire(data: Path, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        env=environment(data, **env),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def eventually(check: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.05)


def below(pid: int) -> dict[int, str]:
    """Every process that descends from this one: pid -> command line."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(line.split()[0]), int(line.split()[1]), line.split(None, 2)[2]) for line in listed.splitlines()]
    found: dict[int, str] = {}
    heirs = {pid}
    while heirs:
        found |= (children := {child: args for child, parent, args in rows if parent in heirs})
        heirs = set(children)
    return found


def alive(pids: list[int]) -> list[int]:
    """Which of them run; a zombie that nobody has waited for yet does not."""
    asked = ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if not line.split()[1].startswith("Z")]


class Up:
    """A command that runs a fleet, started as a terminal would: in a process group of its own."""

    def __init__(self, data: Path, *arguments: object, **env: str) -> None:
        self.data = data
        self.started = time.monotonic()
        data.mkdir(parents=True, exist_ok=True)
        self._errors = (data / "stderr").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *map(str, arguments)],
            env=environment(data, **env),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self.seen: dict[int, str] = {}

    def line(self, start: str) -> str:
        """Read its standard output up to a line that starts so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                self.seen |= below(self.process.pid)
                return line.rstrip()
        pytest.fail(f"it ended without saying {start!r}: {(self.data / 'stderr').read_text()[-3000:]}")

    def fleet(self) -> dict[str, dict[str, int]]:
        """Its processes by name, as fleet.json tells them."""
        content = json.loads((self.data / "fleet.json").read_text())
        return {process["name"]: process for process in content["processes"]}

    def left(self) -> list[int]:
        """Its processes that still run."""
        return alive([self.process.pid, *self.seen])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever a test has found: nothing stays."""
        if self.process.poll() is None:
            self.end()
        self.close()

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and wait for its end; its exit code."""
        self.seen |= below(self.process.pid)
        self.process.send_signal(signum)
        return self.wait()

    def rest(self) -> str:
        """What it says until it ends."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def wait(self) -> int:
        """Its exit code."""
        self.rest()
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A fleet for all tests that leave it as it is; it drains in the end, exits 0 and leaves nothing behind."""
    (port,) = choose(1)
    with Up(tmp_path_factory.mktemp("up"), "up", "--port", port) as running:
        said = running.line("ready")
        assert f"ready: http://127.0.0.1:{port} (10 processes" in said
        yield running
        assert running.end() == 0
        assert running.left() == []
        assert not (running.data / "fleet.json").exists()


def test_up_is_ready_only_when_everything_is_and_soon(tmp_path: Path) -> None:
    with Up(tmp_path, "up", "--port", *choose(1)) as running:
        running.line("ready")
        took_s = time.monotonic() - running.started
        for name, process in running.fleet().items():
            if name != "redis":
                with urllib.request.urlopen(f"http://127.0.0.1:{process['port']}/readyz") as response:
                    assert response.status == 200
        assert running.end(signal.SIGINT) == 0
        assert running.left() == []
    assert took_s < READY_S * 2, "twice the promise, for a machine that is shared"


def test_each_service_is_a_process_of_its_own_below_up(up: Up) -> None:
    commands = sorted(args.partition(" -m ")[2] for args in below(up.process.pid).values() if " -m services." in args)
    services = [command for command in commands if " " not in command and command.count(".") == 1]
    assert services == [
        "services.aggregator",
        "services.gateway",
        "services.keeper",
        "services.local_model",
        "services.page_worker",
        "services.page_worker",
        "services.splitter",
        "services.splitter",
        "services.tts",
    ]


def test_a_second_up_is_told_in_a_sentence(up: Up) -> None:
    second = quire(up.data, "up", "--port", *choose(1))
    assert second.returncode == 2
    assert f"{up.data} is in use by another fleet (process {up.process.pid})" in second.stderr


def test_a_port_that_is_taken_is_told_in_a_sentence(up: Up, tmp_path: Path) -> None:
    port = up.fleet()["gateway-1"]["port"]
    second = quire(tmp_path, "up", "--port", port)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 is taken" in second.stderr


def test_a_document_is_submitted_watched_and_saved(up: Up, tmp_path: Path) -> None:
    done = quire(up.data, "submit", SAMPLE, "--watch", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    match = re.fullmatch(r"completed (\S+): 113 pages in \d+\.\d s", last)
    assert match, last
    assert re.search(r"\[pp?\. \d", done.stdout), "statements name their pages"
    assert json.loads((tmp_path / f"{match[1]}.json").read_text())["status"] == "completed"
    assert (tmp_path / f"{match[1]}.md").read_text().startswith("# ")
    assert json.loads(quire(up.data, "job", match[1], "--json").stdout)["progress"] == 100
    assert "An Introduction to R" in quire(up.data, "job", match[1]).stdout


def test_a_job_is_cancelled_by_its_id(up: Up) -> None:
    job = json.loads(quire(up.data, "submit", SAMPLE, "--json").stdout)["job_id"]
    cancelled = quire(up.data, "cancel", job, "--json")
    assert cancelled.returncode == 0
    assert json.loads(cancelled.stdout)["job_id"] == job


def test_what_the_gateway_refuses_is_told_in_its_own_sentence(up: Up, tmp_path: Path) -> None:
    (tmp_path / "letter.doc").write_bytes(b"no document of ours" * 100_000)
    refused = quire(up.data, "submit", tmp_path / "letter.doc")
    assert refused.returncode == 1
    assert "%PDF-" in refused.stderr
    unknown = quire(up.data, "job", "no-such-job")
    assert unknown.returncode == 1
    assert "no-such-job" in unknown.stderr


def test_stats_show_where_the_processes_are(up: Up) -> None:
    found = json.loads(quire(up.data, "stats", "--json").stdout)
    assert {process["name"] for process in found["fleet"]["processes"]} == up.fleet().keys()
    assert {stream["stream"] for stream in found["stats"]["streams"]} >= {"doc.submitted", "pages.requested"}
    table = quire(up.data, "stats").stdout
    assert f"{up.fleet()['page_worker-2']['port']}" in table


def test_a_worker_that_is_killed_is_started_again(up: Up) -> None:
    before = up.fleet()["page_worker-1"]
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: up.fleet()["page_worker-1"]["pid"] not in (0, before["pid"]))
    assert up.fleet()["page_worker-1"]["restarts"] == before["restarts"] + 1


def test_a_demo_uses_the_fleet_that_runs_in_its_data_folder(up: Up) -> None:
    done = quire(up.data, "demo")
    assert done.returncode == 0, done.stderr
    assert f"so the demo uses it: http://127.0.0.1:{up.fleet()['gateway-1']['port']}" in done.stdout
    assert up.process.poll() is None


def test_a_gateway_that_cannot_be_reached_is_told_in_a_sentence(tmp_path: Path) -> None:
    (port,) = choose(1)
    for command in (["job", "j-1"], ["stats"], ["cancel", "j-1"], ["submit", SAMPLE]):
        told = quire(tmp_path, *command, QUIRE_URL=f"http://127.0.0.1:{port}")
        assert told.returncode == 2
        assert f"no gateway answers at http://127.0.0.1:{port}: start the fleet with `./quire up`" in told.stderr


def test_a_wrong_setting_is_told_by_its_variable_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with Up(tmp_path, "up", "--port", *choose(1), PAGE_CONCURRENCY="many") as running:
        assert running.wait() == 2
        said = (tmp_path / "stderr").read_text()
        assert "PAGE_CONCURRENCY" in said
        assert re.search(r"page_worker-[12] can't be started", said)
        assert running.left() == []


def test_a_demo_reads_its_sample_says_where_to_look_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with Up(tmp_path, "demo") as running:
        running.line("reading introduction-to-r.pdf as job")
        running.line("Took ")
        report = running.line("Report ").split(None, 1)[1]
        assert "./quire up" in running.line("API ")
        last = running.line("completed ")
        assert re.fullmatch(r"completed \S+: 113 pages in \d+\.\d s", last)
        assert running.rest() == "", "that was its last line"
        assert running.wait() == 0
        assert running.left() == []
        assert Path(report).read_text().startswith("# ")


def test_ctrl_c_in_a_demo_cancels_its_job_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with Up(tmp_path, "demo", PAGE_CONCURRENCY="1") as running:
        job = running.line("reading").rpartition(" ")[2]
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        assert running.line("cancelled").startswith(f"cancelled {job}")
        assert running.wait() == 130
        assert running.left() == []


def test_when_up_is_killed_nothing_is_left_behind_and_what_was_accepted_is_done_by_the_next(tmp_path: Path) -> None:
    with Up(tmp_path, "up", "--port", *choose(1), PAGE_CONCURRENCY="1") as first:
        first.line("ready")
        job = json.loads(quire(tmp_path, "submit", SAMPLE, "--json").stdout)["job_id"]
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with Up(tmp_path, "up", "--port", *choose(1)) as second:  # waits for the end of what the first left behind
        second.line("ready")
        assert first.left() == []

        def completed() -> bool:
            return bool(json.loads(quire(tmp_path, "job", job, "--json").stdout)["status"] == "completed")

        eventually(completed)
        assert second.end() == 0
        assert second.left() == []

"""One fleet a data folder, and nobody is sent to a fleet that is gone."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli import datafolder
from cli.datafolder import PROJECT, Folder, InUse, Process, Running
from cli.errors import CommandError
from tests import fleets
from tests.servers import free_port

GATEWAY = Process(name="gateway-1", service="gateway", pid=11, port=8080, restarts=0)
REDIS = Process(name="redis", service="redis", pid=12, port=19000, restarts=0)


def fleet(pid: int) -> Running:
    return Running(
        pid=pid, api_url="http://127.0.0.1:8080", redis_url="redis://127.0.0.1:19000/0", processes=[REDIS, GATEWAY]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


async def test_a_second_fleet_is_refused_by_name_of_the_first(folder: Folder) -> None:
    async with datafolder.claimed(folder):
        with pytest.raises(InUse, match=rf"{folder.path} is in use by another fleet \(process {os.getpid()}\)"):
            async with datafolder.claimed(Folder(folder.path)):
                pytest.fail("the folder was given to two")


async def test_a_folder_is_free_again_after_its_fleet(folder: Folder) -> None:
    for _ in range(2):
        async with datafolder.claimed(folder):
            pass


async def test_only_its_owner_can_look_into_a_data_folder(folder: Folder) -> None:
    async with datafolder.claimed(folder):
        folder.publish(fleet(os.getpid()))
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.path / "fleet.json").stat().st_mode) == 0o600


async def test_a_running_fleet_is_found_and_one_that_has_ended_is_not(folder: Folder) -> None:
    assert folder.running() is None
    async with datafolder.claimed(folder):
        assert folder.running() is None
        folder.publish(fleet(os.getpid()))
        assert folder.running() == fleet(os.getpid())
    assert folder.running() is None
    assert not (folder.path / "fleet.json").exists()


async def test_what_a_killed_fleet_left_behind_is_not_believed(folder: Folder) -> None:
    async with datafolder.claimed(folder):
        pass
    folder.publish(fleet(os.getpid()))  # nobody holds the lock
    assert folder.running() is None


async def test_prometheus_finds_every_process_that_speaks_http(folder: Folder) -> None:
    async with datafolder.claimed(folder):
        folder.publish(fleet(os.getpid()))
        targets = json.loads((folder.path / "prometheus-targets.json").read_text())
    assert targets == [
        {"targets": ["127.0.0.1:8080"], "labels": {"service": "gateway", "process": "gateway-1"}},
    ]


async def test_a_new_fleet_waits_for_the_server_that_a_killed_one_left_behind(folder: Folder) -> None:
    """The server inherited the lock; two servers must never write to one folder."""
    async with datafolder.claimed(folder) as lock:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "import time; time.sleep(600)", pass_fds=(lock,)
        )
    (folder.path / "lock").write_text(f"{await pid_of_the_dead()}\n")
    claiming = asyncio.create_task(claim(folder))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(claiming), 0.5)
    server.kill()
    await server.wait()
    await asyncio.wait_for(claiming, 5)


async def claim(folder: Folder) -> None:
    async with datafolder.claimed(folder):
        pass


async def pid_of_the_dead() -> int:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    return process.pid


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(datafolder.CommandError, match=r"DATA_DIR: .*file/data can't be used: Not a directory"):
        await claim(Folder(tmp_path / "file" / "data"))


async def test_a_folder_of_a_newer_release_is_refused_and_left_as_it_is(folder: Folder) -> None:
    await claim(folder)
    (folder.path / "format").write_text("2\n")
    with pytest.raises(CommandError, match=r"used by a newer release \(format 2; this one knows up to 1\)") as told:
        await claim(folder)
    assert told.value.code == 2
    assert (folder.path / "format").read_text() == "2\n"


async def test_a_folder_of_an_older_release_is_taken_over(folder: Folder) -> None:
    """Those before this one wrote no number."""
    for name in ("redis", "blobs", "logs"):
        (folder.path / name).mkdir(parents=True)
    (folder.path / "lock").touch()
    await claim(folder)
    assert (folder.path / "format").read_text() == "1\n"
    await claim(folder)


async def test_a_folder_whose_format_is_no_number_is_told(folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "format").write_text("my notes")
    with pytest.raises(CommandError, match="should hold a number and holds 'my notes'"):
        await claim(folder)


def test_up_says_so_in_one_line_and_ends_with_exit_code_2(folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "format").write_text("2\n")
    ended = subprocess.run(
        fleets.command("up", "--port", str(free_port())),
        env=fleets.environment(folder.path),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "newer release (format 2" in ended.stderr


def test_the_data_folder_is_in_the_project_unless_data_dir_says_otherwise(tmp_path: Path) -> None:
    assert datafolder.find({}).path == PROJECT / "data"
    assert datafolder.find({"DATA_DIR": str(tmp_path)}).path == tmp_path

"""A fleet in mid job is backed up and restored with the very lines of docs/backup.md."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import redis

from cli.datafolder import Folder
from tests import fleets, pages, servers
from tests.clients import Client
from tests.conftest import eventually
from tests.fleets import PROJECT, READY_S
from tests.servers import free_port
from tests.standin import server
from tests.standin.behaviour import Behaviour

PAGES, BATCHES = 60, 3
CALLS = PAGES + BATCHES + 1
REDIS_CLI = f"""#!{sys.executable}
import sys
import redis
connection = redis.Connection(port=int(sys.argv[2]))
connection.send_command(*sys.argv[3:])
print(connection.read_response().decode())
"""
"""What these lines need of redis-cli, where there is none."""


def lines(heading: str) -> str:
    """The commands below a heading of docs/backup.md."""
    text = (PROJECT / "docs" / "backup.md").read_text()
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(block)


async def run(script: str, folder: Path, **variables: object) -> None:
    """As a person would, stopping at the first line that fails."""
    tools = folder / "bin"
    if shutil.which("redis-cli") is None and not tools.exists():
        tools.mkdir()
        (tools / "redis-cli").write_text(REDIS_CLI)
        (tools / "redis-cli").chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", **{name: str(value) for name, value in variables.items()}}
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def up(data: Path, model_url: str) -> AsyncIterator[tuple[Client, asyncio.subprocess.Process]]:
    """A fleet on this data folder; nothing of it is left behind, however it ends."""
    settings = {"LEASE_S": "2", "GRACE_S": "3", "PAGE_CONCURRENCY": "8", "PAGE_MODEL": "eyes", "SUMMARY_MODEL": "pen"}
    with (data.parent / f"{data.name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *fleets.command("up", "--port", str(free_port())),
            cwd=PROJECT,
            env=fleets.environment(data, OPENAI_BASE_URL=model_url, OPENAI_API_KEY="sk-test", **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    servers_pid = 0
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY_S)
        assert line.startswith(b"ready: "), (data.parent / f"{data.name}.log").read_text()[-2000:]
        running = Folder(data).running()
        assert running is not None
        servers_pid = next(process.pid for process in running.processes if process.service == "redis")
        async with aiohttp.ClientSession(running.api_url) as session:
            yield Client(session), process
    finally:
        if process.returncode is None and servers_pid:
            os.kill(servers_pid, signal.SIGKILL)  # it writes its title over its environment, so `members` misses it
        await killed(data)
        await process.wait()


async def killed(data: Path) -> None:
    """SIGKILL to every process of this folder's fleet."""

    async def left() -> int:
        found = fleets.members(data)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    await eventually(left, within_s=30, until=lambda count: count == 0)


def test_a_snapshot_needs_a_server_that_starts_without_an_append_only_file(tmp_path: Path) -> None:
    """As docs/backup.md says; a server that has one set and finds none begins empty, in silence."""
    for name in ("first", "wrong", "right"):
        (tmp_path / name).mkdir()
    with servers.embedded(folder=tmp_path / "first") as url, redis.Redis.from_url(url) as client:
        client.set("a", "job")
        client.save()
    for name in ("wrong", "right"):
        shutil.copy(tmp_path / "first" / "dump.rdb", tmp_path / name)
    with servers.embedded(folder=tmp_path / "wrong") as url, redis.Redis.from_url(url) as client:
        assert client.get("a") is None
    with servers.embedded("--appendonly", "no", folder=tmp_path / "right") as url, redis.Redis.from_url(url) as client:
        assert client.get("a") == b"job"
        client.config_set("appendonly", "yes")
        deadline = time.monotonic() + 10
        while client.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < deadline:
            time.sleep(0.05)
    with servers.embedded(folder=tmp_path / "right") as url, redis.Redis.from_url(url) as client:
        assert client.get("a") == b"job"


@pytest.mark.slow
async def test_a_fleet_in_mid_job_is_restored_and_finishes_every_page_once(tmp_path: Path) -> None:
    data, backup, restored = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    images = [pages.page_image(number, seed=41) for number in range(1, PAGES + 1)]
    async with server.serve() as model:
        model.behave(Behaviour(latency_s=0.8))
        async with up(data, model.url) as (api, _):
            job = (await api.images(images))["job_id"]

            async def done() -> int:
                return int((await api.status(job))["pages"]["done"])

            await eventually(done, within_s=30, until=lambda count: count >= 10)
            running = Folder(data).running()
            assert running is not None
            port = next(process.port for process in running.processes if process.service == "redis")
            began = time.time()
            await run(lines("Back up"), tmp_path, DATA=data, BACKUP=backup, PORT=port)
            assert (await api.status(job))["status"] == "processing", "it was no backup in mid job"
            await eventually(done, within_s=30, until=lambda count: count >= 30)
        after = sum(call.ended is None or call.ended > began for call in model.calls)
        shutil.rmtree(data)

        await run(lines("Restore"), tmp_path, DATA=restored, BACKUP=backup)
        async with up(restored, model.url) as (api, process):
            status = await api.ended(job, within_s=60)
            assert (status["status"], status["pages"]["done"], status["gaps"]) == ("completed", PAGES, [])
            assert status["usage"]["calls"] == CALLS, "what was lost is not counted, what was kept is counted once"
            document = await api.document(job)
            for page, image in zip(document["pages"], images, strict=True):
                assert pages.token(image) in page["text"]
            assert CALLS <= len(model.calls) <= CALLS + after
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0

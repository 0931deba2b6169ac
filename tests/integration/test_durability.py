"""What an answered write is worth, on servers that promise different things."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from shared import bus, durability
from shared.submission import Submission
from tests.servers import embedded, embedded_process

SUBMISSION = Submission(ref="local/one", run="r", kind="pdf", source="u", fingerprint="f", batch_size=25)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (["--appendfsync", "always"], "always"),
        (["--appendfsync", "everysec"], "everysec"),  # the embedded Valkey's WAITAOF answers too soon
        (["--appendonly", "no"], "none"),
    ],
)
async def test_the_server_is_tried(options: list[str], mode: str) -> None:
    with embedded(*options) as url:
        async with bus.connect(url) as redis:
            assert await durability.probe(redis) == mode


async def test_what_was_accepted_survives_a_kill_of_the_server(tmp_path: Path) -> None:
    with embedded_process("--appendfsync", "always", folder=tmp_path) as (url, server):
        async with bus.connect(url) as redis, durability.durable(redis, worker="w", mode="always") as ledger:
            assert (await ledger.submit(SUBMISSION)).created
        server.send_signal(signal.SIGKILL)
        server.wait(10)
    with embedded("--appendfsync", "always", folder=tmp_path) as url:
        async with bus.connect(url) as redis, durability.durable(redis, worker="w", mode="always") as ledger:
            again = await ledger.submit(SUBMISSION)
            assert (again.created, again.same) == (False, True)
            assert await redis.xlen("doc.submitted") == 1

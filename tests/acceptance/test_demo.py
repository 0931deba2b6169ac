"""`make demo`: the fleet, the local model and a document, from nothing to a summary, and nothing is left behind."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tests import pages
from tests.fleets import PROJECT, command, environment, members
from tests.servers import free_port

PATIENCE_S = 60
"""From nothing to the sample's summary, on a machine that is shared."""


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command("demo", *arguments), "--port", str(free_port())],
        cwd=PROJECT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_demo_reads_its_sample_within_a_minute(tmp_path: Path) -> None:
    began = time.monotonic()
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < PATIENCE_S
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"completed ([0-9a-f-]{36}): 113 pages in \d+\.\d s", last)
    assert found, last
    result = msgspec.json.decode((tmp_path / "demo" / f"{found[1]}.json").read_bytes())
    assert [page["page"] for page in result["pages"]] == list(range(1, 114))
    cited = {page for section in result["summary"]["sections"] for page in section["pages"]}
    assert cited
    assert cited <= set(range(1, 114))
    assert members(tmp_path) == {}


@pytest.mark.slow
def test_the_demo_reads_a_document_of_ones_own(tmp_path: Path) -> None:
    document = tmp_path / "small.pdf"
    document.write_bytes(pages.pdf(3, seed=71))
    done = demo(tmp_path / "data", str(document))
    assert done.returncode == 0, done.stderr
    assert "reading small.pdf as job " in done.stdout
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"completed ([0-9a-f-]{36}): 3 pages in \d+\.\d s", last)
    assert found, last
    result = msgspec.json.decode((tmp_path / "data" / "demo" / f"{found[1]}.json").read_bytes())
    for number, page in enumerate(result["pages"], 1):
        assert pages.said(number, of=3) in page["text"]
    assert members(tmp_path / "data") == {}

"""The soak itself, as `make chaos` runs it: for a few seconds with a small fleet, and for a minute with a whole one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.schedule import Kind
from tests.fleets import PROJECT

BRIEF: tuple[Kind, ...] = ("kill", "reset", "lost_replies", "redis_kill", "script_flush", "model_500")
"""Faults that a small fleet with a short lease is well again from within seconds."""


def chaos(report: Path, *options: str, within_s: float) -> str:
    """Run it; its report. Fails with everything that it said where a promise was broken."""
    command = [sys.executable, "-m", "tests.chaos", "--report", str(report), *options]
    env = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATA_DIR")}
    run = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=within_s, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return report.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are limited and measured through Linux' kernel")
def test_seconds_of_chaos_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    only = [word for kind in BRIEF for word in ("--only", kind)]
    told = chaos(tmp_path / "run.md", "--small", "--seconds", "8", "--seed", "26", *only, within_s=110)
    assert "Nothing lost, nothing twice." in told


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are limited and measured through Linux' kernel")
def test_a_minute_of_chaos_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    told = chaos(tmp_path / "run.md", "--seconds", "60", "--seed", "1", within_s=380)
    assert "Nothing lost, nothing twice." in told
    assert "| a process drained | not seen |" not in told
    assert "| an outcome was recorded again because its reply was lost | not seen |" not in told

"""What was measured, and on what: facts without which no figure can be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.parameters import CORES
from cli.datafolder import PROJECT


def pin() -> None:
    """Keep this process, and all that it starts, on CORES cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def facts(server: str, folder: Path) -> dict[str, str]:
    """Name -> value. `server`: the Redis-protocol server that the fleets used; `folder`: where their data was."""
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{figure:.2f}" for figure in os.getloadavg())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "revision": revision(),
        "CPU": f"{_cpu()}; {cores} of its {os.cpu_count()} cores used",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB",
        "data on": filesystem(folder),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "server": server,
        "load average at the end": f"{load} (1, 5, 15 minutes)",
    }


def revision() -> str:
    """The git revision of the project, and whether files were changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}, with changes" if _git("status", "--porcelain", "--untracked-files=no") else commit


def filesystem(folder: Path) -> str:
    """Type of the file system that holds a folder: on tmpfs, fsync costs nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    over = [(point, kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(over, key=lambda mount: len(mount[0]))[1] if over else "unknown"


def _git(*arguments: str) -> str:
    try:
        asked = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

"""What the processes of a fleet use, as Linux tells it in /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cli.datafolder import Running

_TICKS = os.sysconf("SC_CLK_TCK")  # a second
_PRIVATE = ("Private_Clean:", "Private_Dirty:")

Pid = int
Kind = str
"""What a process is: a service, `renderer` (a splitter's child), `redis`, or `up` with its undertaker."""


def kinds(fleet: Running) -> dict[Pid, Kind]:
    """All processes of a fleet that runs: those that `fleet.json` names, and their children."""
    found = {fleet.pid: "up"}
    for process in fleet.processes:
        if process.pid:
            found[process.pid] = process.service
            child = "renderer" if process.service == "splitter" else process.service
            found |= dict.fromkeys(_children(process.pid), child)
    return {**dict.fromkeys(_children(fleet.pid), "up"), **found}


def cpu_s(pid: Pid) -> float | None:
    """CPU time that a process has used so far, user and system; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # its name may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime and stime, proc_pid_stat(5)


def uss_bytes(pid: Pid) -> int | None:
    """Unique set size: memory that would be free if this process alone ended; None when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return sum(int(line.split()[1]) for line in lines if line.startswith(_PRIVATE)) * 1024


def busy_s(cores: set[int]) -> float:
    """CPU time that these cores have spent on anything so far, the hypervisor's other guests (steal) included."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            total += user + nice + system + irq + softirq + steal
    return total / _TICKS


def _children(pid: Pid) -> list[Pid]:
    found: list[Pid] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found

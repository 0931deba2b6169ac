"""A run as Markdown: for people who want to know what the fleet went through, and what came of it."""

from __future__ import annotations

import platform
import statistics
from collections import Counter
from collections.abc import Sequence

import msgspec

from tests.chaos.scene import Done
from tests.chaos.schedule import KINDS


class Run(msgspec.Struct, kw_only=True):
    """What is known of a run at its end."""

    seed: int
    seconds: int
    command: str
    server: str = ""
    quiet_s: float = 0
    done: list[Done] = []
    impossible: list[str] = []
    paths: dict[str, int] = {}
    documents: int = 0
    pages: int = 0
    statuses: dict[str, int] = {}
    submissions: dict[str, int] = {}
    replays: int = 0
    calls: dict[str, int] = {}
    read_again: int = 0
    at_risk: int = 0
    takeovers_s: list[float] = []
    """From a worker's kill to each of its entries' new owner."""
    restarts: int = 0
    memory: dict[str, tuple[float, float]] = {}
    redis_bytes: tuple[int, int] = (0, 0)
    job_bytes: int = 0
    wrong: list[str] = []
    fell: list[str] = []


def markdown(run: Run) -> str:
    """The whole report."""
    verdict = "Nothing lost, nothing twice." if not run.wrong else f"{len(run.wrong)} promises broken."
    parts = [
        f"# A run of the chaos soak\n\n{verdict} `{run.command}`\n",
        f"{run.seconds} s of faults, then {run.quiet_s:.0f} s of quiet until everything had ended. {run.server}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}.\n",
        _table(
            "What was done to it", ["fault", "times", "the next page ended after (median, longest)"], _faults(run.done)
        ),
        _missing(run),
        _table("What it was given", ["", ""], _load(run)),
        _table("Rare paths that were taken", ["path", "times seen"], _paths(run)),
        _table("What it cost", ["", ""], _cost(run)),
        _table("Memory", ["process", "MB before", "MB after"], _memory(run)),
        _list("Broken promises", run.wrong),
        _list("Processes that ended by themselves", run.fell),
    ]
    return "\n".join(part for part in parts if part)


def _faults(done: Sequence[Done]) -> list[list[str]]:
    rows = []
    for kind in KINDS:
        mine = [one for one in done if one.kind == kind]
        waits = [one.recovered - one.at for one in mine if one.recovered is not None]
        told = f"{statistics.median(waits):.1f} s, {max(waits):.1f} s" if waits else "–"
        rows.append([kind.replace("_", " "), str(len(mine)), told])
    return rows


def _missing(run: Run) -> str:
    happened = Counter(one.kind for one in run.done)
    never = [kind.replace("_", " ") for kind in KINDS if not happened[kind]]
    lines = [f"Not in this run: {', '.join(never)}.\n"] if never else []
    return "\n".join(lines + [f"Not possible: {why}\n" for why in run.impossible])


def _paths(run: Run) -> list[list[str]]:
    return [[words, f"{times:,}" if times else "not seen"] for words, times in run.paths.items()]


def _load(run: Run) -> list[list[str]]:
    ended = ", ".join(f"{n} {status}" for status, n in sorted(run.statuses.items()))
    answers = "<br>".join(f"{n} × {told}" for told, n in sorted(run.submissions.items(), key=lambda item: -item[1]))
    return [
        ["documents", f"{run.documents:,} ({ended})"],
        ["pages", f"{run.pages:,}"],
        ["answers to submissions", answers],
        ["documents with dead letters that were replayed", f"{run.replays:,}"],
        ["processes started again", f"{run.restarts:,}"],
    ]


def _cost(run: Run) -> list[list[str]]:
    calls = ", ".join(f"{n:,} {did}" for did, n in sorted(run.calls.items(), key=lambda item: -item[1]))
    took_s = run.takeovers_s or [0.0]
    told = f"{len(run.takeovers_s)}: median {statistics.median(took_s):.0f} s, longest {max(took_s):.0f} s"
    return [
        ["calls to the model", calls],
        ["pages read again after a right answer", f"{run.read_again:,} (allowed: {run.at_risk:,} calls at risk)"],
        ["entries of killed workers, with another after", told if run.takeovers_s else "none"],
    ]


def _memory(run: Run) -> list[list[str]]:
    rows = [[name, f"{before:.0f}", f"{after:.0f}"] for name, (before, after) in run.memory.items()]
    before, after = (size / 1e6 for size in run.redis_bytes)
    return [*rows, [f"Redis ({run.job_bytes / 1e6:.1f} MB of it ended jobs)", f"{before:.1f}", f"{after:.1f}"]]


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return f"## {title}\n\n" + "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _list(title: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return f"## {title}\n\nNone.\n"
    return f"## {title}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences) + "\n"

"""Figures as tables: each run's, their median, and the worst of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.meter import APART, Usage
from benchmarks.parameters import CORES
from benchmarks.processes import Kind
from benchmarks.runs import Run, Scenario

_MORE_IS_BETTER = frozenset({"pages/s"})
_ORDER = ("gateway", "splitter", "renderer", "page_worker", "aggregator", "tts")  # the way of a page, then all others
_MB = 1_000_000


def console() -> Console:
    """Standard output, wide enough for the tables where it is a file."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def facts(out: Console, values: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in values.items():
        table.add_row(name, value)
    out.print(table)


def scenario(out: Console, its: Scenario, runs: Sequence[Run]) -> None:
    """Both tables of a scenario."""
    out.print(f"\n[bold]{its.title}[/bold]")
    out.print(_figures(runs))
    out.print(_usage(runs))


def _figures(runs: Sequence[Run]) -> Table:
    table = Table("", *(f"run {number}" for number in range(1, len(runs) + 1)), "median", "worst")
    numbers_right(table)
    for name in runs[0].figures:
        values = [run.figures[name] for run in runs]
        worst = min(values) if name in _MORE_IS_BETTER else max(values)
        table.add_row(name, *map(told, values), told(median(values)), told(worst))
    return table


def _usage(runs: Sequence[Run]) -> Table:
    """Processor and memory by kind of process, as `median / worst` of the runs."""
    table = Table(
        "",
        "processes",
        "CPU, s",
        f"of {CORES} cores, %",
        "USS of the largest, MB",
        "USS together, MB",
        title="From the upload's begin to completed; USS (unique set size) at its peak; in brackets: not Quire's"
        + ("; median / worst of the runs" if len(runs) > 1 else ""),
        title_justify="left",
    )
    numbers_right(table)
    for kind in kinds(runs):
        table.add_row(
            kind if kind not in APART else f"({kind})",
            str(max(run.usage[kind].processes for run in runs if kind in run.usage)),
            _both(runs, kind, lambda run, usage: usage.cpu_s),
            _both(runs, kind, lambda run, usage: 100 * usage.cpu_s / (CORES * run.seconds)),
            _both(runs, kind, lambda run, usage: usage.peak_bytes / _MB),
            _both(runs, kind, lambda run, usage: usage.peak_together_bytes / _MB),
        )
    return table


def kinds(runs: Sequence[Run], *, apart: bool = True) -> list[Kind]:
    """All kinds of processes in the order of the tables; `apart`: also those that are no process of Quire."""
    found = {kind for run in runs for kind in run.usage if apart or kind not in APART}
    return sorted(found, key=_place)


def _place(kind: Kind) -> tuple[bool, int, str]:
    return kind in APART, _ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind


def _both(runs: Sequence[Run], kind: Kind, figure: Callable[[Run, Usage], float]) -> str:
    values = [figure(run, run.usage.get(kind, Usage())) for run in runs]
    return f"{told(median(values))} / {told(max(values))}" if len(values) > 1 else told(values[0])


def numbers_right(table: Table) -> None:
    """All columns but the first hold numbers."""
    for column in table.columns[1:]:
        column.justify = "right"


def told(value: float) -> str:
    """Three digits that count, no false precision."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

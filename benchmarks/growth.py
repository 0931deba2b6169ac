"""The table of what grows with a document's length: memory at the fewest pages, at the most, and their ratio."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.runs import REDIS_FIGURE, Run, Scenario

_MB = 1_000_000


def scenario(out: Console, its: Scenario, runs: Sequence[Run]) -> None:
    """One row a kind of Quire process, then all of them together, then Redis apart. `runs`: from few pages to many."""
    few, many = runs[0], runs[-1]
    out.print(f"\n[bold]{its.title}[/bold]")
    table = Table("", f"at {few.pages:,} pages", f"at {many.pages:,} pages", "ratio")
    table.title = "USS of the largest process of each kind at its peak, MB; in brackets: not Quire's"
    table.title_justify = "left"
    report.numbers_right(table)
    for kind in report.kinds(runs, apart=False):
        _row(table, kind, few.usage[kind].peak_bytes / _MB, many.usage[kind].peak_bytes / _MB)
    _row(table, "all of Quire together", few.quire_bytes / _MB, many.quire_bytes / _MB)
    _row(table, f"({REDIS_FIGURE})", few.figures[REDIS_FIGURE], many.figures[REDIS_FIGURE])
    out.print(table)


def _row(table: Table, name: str, few: float, many: float) -> None:
    table.add_row(name, report.told(few), report.told(many), f"{many / few:.2f}")

"""Live progress of a job: a bar on a terminal, a line now and then in a log, nothing for scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from cli import wording
from cli.progress import Milestones, Pace
from cli.wire import Status

Show = Callable[[Status], None]
"""Shows how far a job is; called a few times a second."""


def silent(_: Status) -> None:
    """For scripts."""


@contextmanager
def live(console: Console) -> Iterator[Show]:
    """On a terminal: stage, bar, pages, batches, pages/s, time left, cost. Else a line at milestones."""
    pace = Pace()
    if not console.is_terminal:
        milestones = Milestones()

        def note(status: Status) -> None:
            if line := milestones.line(status, pace.see(time.monotonic(), status.current_page)):
                console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield note
        return

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[pages]}"),
        TextColumn("{task.fields[batches]}", style="cyan"),
        TextColumn("{task.fields[pace]}", style="green"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[cost]}", style="yellow"),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        task = bar.add_task("queued", total=None, pages="", batches="", pace="", left="", cost="")

        def draw(status: Status) -> None:
            speed = pace.see(time.monotonic(), status.current_page)
            left_s = status.estimated_seconds_remaining
            bar.update(
                task,
                description=status.status,
                completed=status.current_page,
                total=status.total_pages or None,  # not counted yet: the bar only moves
                pages=f"{status.current_page:,}/{status.total_pages:,} pages" if status.total_pages else "",
                batches=f"{status.batches.completed}/{status.batches.total} batches" if status.total_pages else "",
                pace="" if status.ended else f"{speed:.1f} pages/s",
                left="" if left_s is None else f"{wording.duration(left_s)} left",
                cost=wording.cost(status.usage.cost_usd),
            )

        yield draw

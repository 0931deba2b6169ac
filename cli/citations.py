"""Pages as citations, the same way as in the report."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def cite(pages: Iterable[int]) -> str:
    """`[p. 7]`, `[pp. 3, 9]`, `[pp. 3–5, 9]`; empty for no page."""
    numbers = sorted(set(pages))
    runs = []
    for _, members in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in members]
        runs += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(number) for number in run]
    if not runs:
        return ""
    return f"[p. {runs[0]}]" if len(numbers) == 1 else f"[pp. {', '.join(runs)}]"

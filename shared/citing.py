"""Page numbers as people and prompts have them: `3, 7–9`, `[p. 3]`, `[pp. 3, 7–9]`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def spans(pages: Iterable[int]) -> list[str]:
    """Sorted, each page once, three and more in a row as a span: [7, 1, 2, 3, 8] is ["1–3", "7", "8"]."""
    found = []
    for _, members in groupby(enumerate(sorted(set(pages))), key=lambda pair: pair[1] - pair[0]):
        run = [page for _, page in members]
        found += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(page) for page in run]
    return found


def cite(pages: Iterable[int]) -> str:
    """How a statement names its pages: `[p. 7]`, `[pp. 3, 9]`, `[pp. 3–5, 9]`; empty for no page."""
    named = spans(pages)
    if not named:
        return ""
    return f"[p. {named[0]}]" if named[0].isdigit() and len(named) == 1 else f"[pp. {', '.join(named)}]"

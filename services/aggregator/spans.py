"""Page numbers for people and prompts: `1–3, 7`."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 40  # spans; a prompt need not name every second page of a ruined document


def written(numbers: Iterable[int]) -> str:
    """Sorted, runs as spans: [7, 1, 2, 3] is "1–3, 7". Beyond 40 spans: "and 12 pages more"."""
    spans: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    words = [str(first) if first == last else f"{first}–{last}" for first, last in spans[:MOST]]
    left = sum(last - first + 1 for first, last in spans[MOST:])
    return ", ".join(words) + (f" and {left} pages more" if left else "")


def marked(numbers: Iterable[int]) -> str:
    """How a statement in a prompt ends: "[p. 3]" or "[pp. 3, 7]"."""
    pages = [str(number) for number in numbers]
    return f"[{'p.' if len(pages) == 1 else 'pp.'} {', '.join(pages)}]"

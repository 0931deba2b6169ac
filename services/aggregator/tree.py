"""Levels of the summary tree: what does not fit one prompt is summarised in parts first. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def parts(sizes: Sequence[int], most: int) -> list[range]:
    """Consecutive parts of things that have these sizes, each of at most `most` in all, and about equally large.

    A thing that is larger than `most` by itself is a part of its own. One part: everything fits.
    """
    if not sizes:
        return []
    even = sum(sizes) / -(-sum(sizes) // most)
    found, start, held = [], 0, 0
    for index, size in enumerate(sizes):
        full = held + size > most or (held >= even and index > start)
        if full and index > start:
            found.append(range(start, index))
            start, held = index, 0
        held += size
    return [*found, range(start, len(sizes))]

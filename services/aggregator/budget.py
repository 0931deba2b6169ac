"""Shares out a prompt's length, so that it stays within what models take and short texts are not cut for long ones."""

from __future__ import annotations

from collections.abc import Sequence

CUT = " […]"


def shares(wanted: Sequence[int], budget: int) -> list[int]:
    """How much each gets: what it wants, or an equal part of what those that want less leave over."""
    granted = [0] * len(wanted)
    left = budget
    for rank, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        granted[index] = max(0, min(wanted[index], left // (len(wanted) - rank)))
        left -= granted[index]
    return granted


def cut(text: str, most: int) -> str:
    """The text, or its beginning up to a gap between words and a mark, at most `most` characters together."""
    if len(text) <= most:
        return text
    kept = text[: max(0, most - len(CUT))]
    words, gap, _ = kept.rpartition(" ")
    return (words if gap else kept).rstrip() + CUT

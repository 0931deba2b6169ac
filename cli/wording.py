"""Figures as people read them."""

from __future__ import annotations

from shared.outcomes import Usage


def duration(seconds: float) -> str:
    """`8 s`, `1 min 5 s`, `2 h 3 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def cost(usd: float | None) -> str:
    """`$0.0123`; `cost unknown` where the model has no price in the table."""
    return "cost unknown" if usd is None else f"${usd:.4f}"


def usage(used: Usage) -> str:
    """`118 model calls, 120,345 tokens in, 9,876 tokens out, $0.0123`."""
    calls = f"{used.calls:,} model call{'' if used.calls == 1 else 's'}"
    return f"{calls}, {used.tokens_in:,} tokens in, {used.tokens_out:,} tokens out, {cost(used.cost_usd)}"


def counted(number: int, noun: str) -> str:
    """`1 page`, `113 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

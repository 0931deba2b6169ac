"""Which suspects may run beside which."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from shared.suspects import TOGETHER, Suspects


@pytest.mark.parametrize(
    ("running", "crashes", "may"),
    [
        ([], 1, True),
        ([], 2, True),
        ([1], 1, True),
        ([1], 2, False),
        ([2], 1, False),
        ([2], 2, False),
        ([1] * (TOGETHER - 1), 1, True),
        ([1] * TOGETHER, 1, False),
    ],
)
async def test_after_two_crashes_a_suspect_runs_alone_among_suspects(
    running: list[int], crashes: int, may: bool
) -> None:
    suspects = Suspects(Redis(), worker="w")  # never connects: the judgement is this process' own
    suspects._running = {str(number): each for number, each in enumerate(running)}
    assert suspects.may_run(crashes) is may

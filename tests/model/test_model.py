"""Every ledger script against a plain model of it, on a real server: any order, repeats, stale numbers, wrong owners.

A failing example prints the calls that led to it, and a `@reproduce_failure` line: put it above the test that failed to
have that example again. `python -m tests.model --shrink` looks for a shorter one.
"""

from __future__ import annotations

import pytest

from tests.model.hunt import hunt
from tests.model.servers import KINDS, running


def test_the_ledger_does_what_its_model_does() -> None:
    with running("embedded") as url:
        hunt(url, examples=70, steps=35)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_does_what_its_model_does_for_long(kind: str) -> None:
    with running(kind) as url:
        hunt(url, examples=500, steps=60)

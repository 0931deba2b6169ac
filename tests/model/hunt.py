"""Lets hypothesis look for a way in which the ledger and its model come apart."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from redis.asyncio import Redis

from shared import bus
from tests.model.machine import LedgerMachine


def hunt(url: str, *, examples: int, steps: int, shrink: bool = False) -> None:
    """So many examples of up to so many rules each, on an emptied server. Raises what a failing example raises.

    `shrink`: look for the shortest failing example, for up to five minutes.
    """
    with asyncio.Runner() as runner:
        connection = bus.connect(url)
        redis: Redis = runner.run(connection.__aenter__())
        try:
            run_state_machine_as_test(
                lambda: LedgerMachine(redis, runner),  # type: ignore[arg-type]  # it asks for a class, and calls it
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
                    database=None,  # an example that failed on another commit would be tried first, in the tests' time
                    deadline=None,  # a rule takes as long as the server takes
                    derandomize=False,  # each run looks elsewhere
                    print_blob=True,
                    report_multiple_bugs=False,
                    # Time per rule and rules that find nothing to do are the server's and the state's, not a mistake.
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
                ),
            )
        finally:
            runner.run(connection.__aexit__(None, None, None))

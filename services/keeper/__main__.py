"""python -m services.keeper"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from services.keeper import rounds
from shared.service import App, run
from shared.settings import Settings

log = logging.getLogger(__name__)


async def every(seconds: float, round_: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Repeat a round until `stop`; a server that does not answer costs that round only."""
    while not stop.is_set():
        try:
            await round_()
        except (RedisError, OSError) as error:
            log.warning("round failed: %s", error, extra={"action": "round_failed"})
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            continue


async def main(app: App[Settings]) -> None:
    reconciler = rounds.Reconciler(app.redis)
    async with asyncio.TaskGroup() as group:
        group.create_task(every(1, lambda: rounds.kick(app.ledger), app.stop), name="kick")
        group.create_task(every(5, lambda: rounds.measure(app.redis), app.stop), name="measure")
        group.create_task(every(5, lambda: rounds.count_renderers(app.redis, app.ledger), app.stop), name="renderers")
        group.create_task(every(30, lambda: rounds.clear_away(app.redis, app.ledger), app.stop), name="clear_away")
        group.create_task(every(60, reconciler.round, app.stop), name="reconcile")


if __name__ == "__main__":
    run("keeper", Settings, main)

"""python -m services.keeper"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from obstore.exceptions import BaseError
from redis.exceptions import RedisError

from services.keeper import rounds
from services.keeper.configuration import KeeperSettings
from services.keeper.forgetting import Forgetter
from shared.service import App, run

log = logging.getLogger(__name__)


async def every(seconds: float, round_: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Repeat a round until `stop`; a server or a disk that does not answer costs that round only."""
    while not stop.is_set():
        try:
            await round_()
        except (RedisError, OSError, BaseError) as error:
            log.warning("round failed: %s", error, extra={"action": "round_failed"})
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            continue


async def main(app: App[KeeperSettings]) -> None:
    reconciler = rounds.Reconciler(app.redis)
    forgetter = Forgetter(app.redis, app.blobs, app.ledger, retention_ms=app.settings.retention_ms)
    tell = partial(rounds.tell, app.redis, app.ledger, retention_ms=app.settings.retention_ms)
    async with asyncio.TaskGroup() as group:
        group.create_task(every(1, lambda: rounds.kick(app.ledger), app.stop), name="kick")
        group.create_task(every(5, lambda: rounds.measure(app.redis), app.stop), name="measure")
        group.create_task(every(5, tell, app.stop), name="tell")
        group.create_task(every(30, lambda: rounds.clear_away(app.redis, app.ledger), app.stop), name="clear_away")
        group.create_task(every(30, lambda: rounds.forget_pages(app.redis), app.stop), name="forget_pages")
        group.create_task(every(60, reconciler.round, app.stop), name="reconcile")
        group.create_task(every(10, forgetter.expired, app.stop), name="expired")
        group.create_task(every(5, forgetter.look_through, app.stop), name="look_through")


if __name__ == "__main__":
    run("keeper", KeeperSettings, main)

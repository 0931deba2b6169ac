"""A consumer whose group is gone makes it again, also where the server goes away just then."""

from __future__ import annotations

from pathlib import Path

from redis.asyncio import Redis
from yarl import URL

from shared.consumer import Stage
from shared.events import DocSubmitted
from shared.outcomes import Noted
from tests import apps
from tests.conftest import eventually
from tests.proxies import proxy


async def test_a_connection_that_is_lost_while_the_group_is_made_again_ends_no_consumer(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    seen = []

    async def handle(fact: DocSubmitted) -> Noted:
        seen.append(fact.job)
        return Noted()

    async def handled() -> list[str]:
        return seen

    url = URL(redis_url)
    async with (
        proxy(url.port or 6379) as between,
        apps.app(str(url.with_port(between.port)), tmp_path) as app,
        apps.consuming(app, Stage(DocSubmitted, handle, slots=1)),
    ):
        await apps.submit(app.ledger, "local/one")
        await eventually(handled, until=lambda jobs: jobs == ["local/one"])

        between.drop_replies(1, to=lambda request: b"XGROUP" in request)
        assert await redis.xgroup_destroy(DocSubmitted.stream, DocSubmitted.group)

        async def dropped() -> int:
            return between.dropped

        await eventually(dropped)
        await apps.submit(app.ledger, "local/two")
        await eventually(handled, until=lambda jobs: jobs == ["local/one", "local/two"])

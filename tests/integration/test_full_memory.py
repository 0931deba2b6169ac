"""A Redis without memory left takes nothing new, and finishes what it has taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from shared import keys
from shared.events import BatchRequested, DocSubmitted, PageRequested
from shared.limiter import Limiter, Result
from shared.outcomes import Planned
from tests import apps, ledgers
from tests.servers import embedded


async def test_what_was_accepted_goes_on_where_redis_is_full(tmp_path: Path) -> None:
    with embedded() as url:
        async with apps.app(url, tmp_path) as app:
            await apps.submit(app.ledger, ledgers.JOB, pages=4)
            limiter = Limiter(app.redis, "eyes")
            await app.redis.config_set("maxmemory", 1)
            with pytest.raises(OutOfMemoryError):
                await apps.submit(app.ledger, "local/another", pages=1)
            assert await app.redis.exists(keys.job("local/another")) == 0

            for entry in await apps.take(app.redis, DocSubmitted, app.worker):
                await app.ledger.record(entry, Planned(pages=4))
            for entry in await apps.take(app.redis, BatchRequested, app.worker):
                await app.ledger.record(entry, apps.rendered(0, 3))
            (permit,) = (await limiter.take(1)).permits
            await limiter.settle(permit, Result(kind="ok", tokens=10))
            first, *_ = await apps.take(app.redis, PageRequested, app.worker, count=1)
            await app.ledger.defer(first, delay_s=0)
            await app.ledger.release()
            await ledgers.read_all(app)
            assert await ledgers.finish(app) == "completed"

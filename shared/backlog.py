"""How many pages are still to be read, all jobs together: what backpressure goes by."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from shared import keys
from shared.events import BatchRequested, DocSubmitted, PageRequested


class _Ring(msgspec.Struct, frozen=True):
    """Batches of a job that are still to be requested, as `lua/include/ring.lua` keeps them."""

    next: int
    last: int
    size: int
    todo: list[int] = []

    @property
    def batches(self) -> int:
        return max(0, self.last - self.next + 1) + len(self.todo)


async def pages(redis: Redis, *, batch_size: int, uncounted: int) -> int:
    """Pages that are released, queued, deferred, or not even rendered. One round trip.

    What can't be known is estimated: a batch that is being rendered counts for `batch_size` pages, a document whose
    pages nobody has counted yet for `uncounted`.
    """
    async with redis.pipeline(transaction=False) as pipe:
        pipe.xlen(PageRequested.stream)
        pipe.zcard(keys.PAGES_QUEUE)
        pipe.zcard(keys.deferred(PageRequested.stream))
        pipe.hvals(keys.BATCHES_BODIES)
        pipe.xlen(BatchRequested.stream)
        pipe.xlen(DocSubmitted.stream)
        released, queued, deferred, bodies, rendering, documents = await pipe.execute()
    rings = [msgspec.json.decode(body, type=_Ring) for body in bodies]
    unrendered = sum(ring.batches * ring.size for ring in rings)
    return int(released + queued + deferred + unrendered + rendering * batch_size + documents * uncounted)

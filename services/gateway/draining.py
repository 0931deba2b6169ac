"""An orderly end: what was begun is finished, nothing new is taken in.

aiohttp's own shutdown drops what still arrives: an upload under way would stall until it times out. Here it ends first.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.gateway.problems import Problem

RETRY_AFTER_S = 5  # the next gateway, or this one started afresh, is there by then


class InHand:
    """The requests that are being answered."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._open: set[asyncio.Future[None]] = set()

    @property
    def count(self) -> int:
        return len(self._open)

    def middleware(self) -> Middleware:
        """Keeps count of the requests, and refuses documents (503) that come after `stop`."""

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._stop.is_set() and request.can_read_body:
                raise Problem(
                    "stopping",
                    "This gateway is being stopped and takes nothing in any more: send the request again.",
                    retry_after_s=RETRY_AFTER_S,
                )
            ended = asyncio.get_running_loop().create_future()
            self._open.add(ended)
            try:
                return await handler(request)
            finally:
                self._open.discard(ended)
                ended.set_result(None)

        return counted

    async def ended(self, *, within_s: float) -> None:
        """Return when all that is open now has been answered, or after `within_s`."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=within_s)

"""May this request, may this document? The limits of the key that asks, and what the fleet can take in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from redis.exceptions import RedisError

from services.gateway import access, ratelimits
from services.gateway.configuration import GatewaySettings
from services.gateway.pressure import Pressure
from services.gateway.problems import Problem
from services.gateway.quotas import Quotas
from shared.apikeys import Limits
from shared.service import App

log = logging.getLogger(__name__)


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The largest document of this request: the gateway's limits and those of the key, whichever is less."""

    body_bytes: int
    pages: int


class Room(msgspec.Struct, kw_only=True):
    """Made for a document. `max_pages`: as many it may have, 0 where the key has no limit of the kind."""

    max_pages: int
    outcome: Literal["nothing", "accepted", "replayed", "unknown"] = "nothing"
    """What came of it; who submits says so."""


class Admission:
    """One for all requests of a gateway."""

    def __init__(self, app: App[GatewaySettings]) -> None:
        self._app = app
        self._pressure = Pressure(app.redis, app.settings)

    def middleware(self) -> Middleware:
        """Counts the requests of each key. Raises Problem (429)."""

        @web.middleware
        async def metered(request: web.Request, handler: Handler) -> web.StreamResponse:
            if access.is_known(request):
                await self._quotas(request).request()
            return await handler(request)

        return metered

    def caps(self, request: web.Request) -> Caps:
        limits, settings = access.identity(request).limits, self._app.settings
        return Caps(
            body_bytes=min(settings.max_body_bytes, limits.body_bytes or settings.max_body_bytes),
            pages=min(settings.max_pages, limits.pages_per_document or settings.max_pages),
        )

    async def check(self, request: web.Request) -> None:
        """Before a document is read. Raises Problem (429, 503) where it would be refused afterwards anyway."""
        await self._pressure.check()
        await self._quotas(request).check()

    @asynccontextmanager
    async def room(self, request: web.Request, *, ref: str, run: str, pages: int) -> AsyncIterator[Room]:
        """Counts the document while the block submits it. `pages` 0: not counted yet. Raises Problem (413, 429).

        A job that is known has been counted: what was accepted once is answered again, whatever is left.
        """
        most = self.caps(request).pages
        if pages > most:
            raise Problem(
                "too-many-pages",
                f"{pages:,} pages are asked for, and {most:,} are taken: send the document in parts.",
                limit_pages=most,
            )
        limits = access.identity(request).limits
        own = limits.pages_per_document or 0
        if limits == Limits() or await self._app.jobs.get(ref) is not None:
            yield Room(max_pages=own)
            return
        quotas = self._quotas(request)
        await quotas.begin(ref)
        room = Room(max_pages=own)
        try:
            room.max_pages = await quotas.reserve(run, ref, pages=pages, most=most) or own
            yield room
        finally:
            try:
                await _close(quotas, room, ref=ref, run=run, pages=pages)
            except RedisError as error:  # the answer stands; the next document finds out what came of this one
                log.warning("quota not settled: %s", error, extra={"action": "quota_failed"})

    def _quotas(self, request: web.Request) -> Quotas:
        who = access.identity(request)
        return Quotas(self._app.redis, self._app.jobs, who.key, who.limits, show=partial(ratelimits.show, request))


async def _close(quotas: Quotas, room: Room, *, ref: str, run: str, pages: int) -> None:
    match room.outcome:
        case "accepted" if pages:
            await quotas.settle(run, pages)
        case "replayed":
            await quotas.settle(run, 0)
        case "nothing":
            await quotas.dismiss(run, ref)

"""Which web pages of other origins may use the API (CORS_ORIGINS), told to their browsers as the Fetch standard has it.

Keys travel in the Authorization header, which no browser sends by itself: credentials are never allowed.
"""

from __future__ import annotations

import re

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from shared.settings import SettingsError

METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Range, X-Request-Id"
)
EXPOSED = (
    "Accept-Ranges, Content-Range, ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "X-Request-Id"
)
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?")
PREFLIGHT_S = 600  # a setting that is taken back is forgotten by browsers within ten minutes


class Origins:
    """The origins of CORS_ORIGINS: separated by commas, or `*`. Raises SettingsError for what is none."""

    def __init__(self, setting: str) -> None:
        given = [part.strip() for part in setting.split(",") if part.strip()]
        self._all = given == ["*"]
        self._known = frozenset(given)
        for origin in () if self._all else given:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"CORS_ORIGINS: expected origins such as https://app.example.com and commas, got {origin!r}"
                )

    def allow(self, origin: str) -> bool:
        return self._all or origin in self._known

    def tell(self, origin: str | None, response: web.StreamResponse) -> None:
        """Put into an answer what its reader's browser asks about."""
        if not self._known:
            return
        if not self._all:
            vary = response.headers.get(hdrs.VARY)
            response.headers[hdrs.VARY] = f"{vary}, Origin" if vary else "Origin"
        if origin is not None and self.allow(origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if self._all else origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED


def preflights(origins: Origins) -> Middleware:
    """Answers what browsers ask beforehand. It comes without a key, so it stands before access is asked for."""

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        origin = request.headers.get(hdrs.ORIGIN)
        if request.method != hdrs.METH_OPTIONS or not asked or origin is None or not origins.allow(origin):
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: REQUEST_HEADERS,
                hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S),
            },
        )

    return answered

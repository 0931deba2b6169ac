"""What every answer carries: its request's id, headers that keep browsers from guessing and framing, a strict CSP."""

from __future__ import annotations

import re
import uuid

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from services.gateway import ratelimits
from services.gateway.cors import Origins
from shared import logs

REQUEST_ID = web.RequestKey("REQUEST_ID", str)
HEADER = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Of all that is no page: should a browser show it as one, nothing in it runs."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of our pages: files of our own, nothing inline, no eval; images and sound also as blobs, fetched with a key."""
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "quire",  # and not which versions of what
}


def request_id(request: web.Request) -> str:
    """Empty for what never came as far as the middlewares."""
    known: str = request.get(REQUEST_ID, "")
    return known


@web.middleware
async def identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A request keeps its id where that is sane, else gets one; log lines carry it."""
    given = request.headers.get(HEADER, "")
    request[REQUEST_ID] = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
    logs.carry(request=request[REQUEST_ID])  # to the task's end: aiohttp logs a bug after the middlewares
    return await handler(request)


class Outgoing:
    """Called for each answer before its head is sent, errors too (`on_response_prepare`)."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    async def __call__(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(ALWAYS)
        page = response.headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else DATA_POLICY)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")  # what may be kept says so itself
        if REQUEST_ID in request:
            response.headers[HEADER] = request[REQUEST_ID]
        response.headers.update(ratelimits.headers(request))
        self._origins.tell(request.headers.get(hdrs.ORIGIN), response)

"""Who asks: each request has an identity, or is refused.

With API keys, all but `OPEN` needs one: a route that is added is closed until it is named here. Without keys everybody
on this machine is `local`, and then a web page of somebody else's, open in a browser here, must not pass for them: it
is told by the Host and Origin that browsers send (DNS rebinding, cross-site requests).
"""

from __future__ import annotations

import re

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from services.gateway.configuration import GatewaySettings, is_loopback
from services.gateway.cors import Origins
from services.gateway.keyring import Identity, Keyring
from services.gateway.problems import Problem
from shared import logs

OPEN = frozenset({"/", "/assets/{name}", "/livez", "/readyz", "/health", "/openapi.json", "/docs"})
"""What strangers may ask for. It holds no document and no figure: /health and /readyz keep their sentences back."""

IDENTITY = web.RequestKey("IDENTITY", Identity)
_HOST = re.compile(r"(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:@/?#\\\[\]\s]+))(:[0-9]*)?")
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


def identity(request: web.Request) -> Identity:
    """Who asks. KeyError on an open route asked by a stranger: such a route has no business with tenants."""
    return request[IDENTITY]


def is_known(request: web.Request) -> bool:
    """Whether sentences on the inside of the fleet may be told."""
    return IDENTITY in request


def middleware(keyring: Keyring, settings: GatewaySettings, origins: Origins) -> Middleware:
    """Finds out who asks. Raises Problem (401, 403, 421)."""
    local_only = not keyring.closed and not settings.allow_open_access and is_loopback(settings.host)

    @web.middleware
    async def accessed(request: web.Request, handler: Handler) -> web.StreamResponse:
        if local_only:
            check_host(request.headers.get(hdrs.HOST, ""))
        if not keyring.closed and request.method not in _READING:
            check_origin(request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST, ""), origins)
        given = bearer(request.headers.getall(hdrs.AUTHORIZATION, []))
        who = await keyring.identify(given)
        if who is not None:
            request[IDENTITY] = who
            if who.key:
                logs.carry(key=who.key)
        elif not _is_open(request):
            raise _unauthorized("" if given is None else "The key is not known here: it was revoked or mistyped. ")
        return await handler(request)

    return accessed


def bearer(headers: list[str]) -> str | None:
    """The token of an Authorization header; None where there is none, or more than one."""
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def check_host(host: str) -> None:
    """Raises Problem unless this is a name of this machine: another's name that leads here is DNS rebinding."""
    found = _HOST.fullmatch(host.lower())
    name = found["ipv6"] or found["name"] if found else ""
    if not (is_loopback(name) or name.endswith(".localhost")):
        raise Problem(
            "foreign-host",
            f"The Host is {host[:80]!r}, and this gateway, which asks nobody for a key, answers to 127.0.0.1 and "
            "localhost alone: use those, or have it started with API keys or ALLOW_OPEN_ACCESS=1.",
        )


def check_origin(origin: str | None, host: str, origins: Origins) -> None:
    """Raises Problem where another site's page wants something changed: browsers say whose page it is."""
    if origin is None or origins.allow(origin) or (origin.partition("://")[2] == host and host):
        return
    raise Problem(
        "foreign-origin",
        f"The request comes from a page of {origin[:80]!r}, which may not use this gateway: "
        "have that origin put into CORS_ORIGINS.",
    )


def _is_open(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in OPEN


def _unauthorized(why: str) -> Problem:
    return Problem(
        "unauthorized",
        f"{why}This gateway asks for an API key: send it as `Authorization: Bearer KEY`.",
        headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="quire"' + (', error="invalid_token"' if why else "")},
    )

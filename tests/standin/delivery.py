"""Ways to send a reply: whole, dribbling, cut off, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import NoReturn

from aiohttp import web

from tests.standin.replies import Reply

_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST
_STEP_S = 0.1  # below any timeout for a single read, so that only one for the whole call helps


def whole(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type, headers=reply.headers)


async def dribble(request: web.Request, reply: Reply, body_s: float) -> web.StreamResponse:
    """Headers at once, then the body evenly over `body_s` seconds."""
    response = await _begun(request, reply)
    steps = max(1, round(body_s / _STEP_S))
    size = -(-len(reply.body) // steps)
    for start in range(0, len(reply.body), size):
        await response.write(reply.body[start : start + size])
        await asyncio.sleep(body_s / steps)
    await response.write_eof()
    return response


async def cut(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Headers and half of the body, then the end of the connection."""
    response = await _begun(request, reply)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _begun(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_type = reply.content_type
    response.content_length = len(reply.body)
    await response.prepare(request)
    return response


def reset(request: web.Request) -> web.Response:
    """Reset the connection; the response that is returned reaches nobody."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.transport.abort()
    return web.Response()


async def never() -> NoReturn:
    """Wait until the client has gone (which cancels the handler) or the server ends."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")

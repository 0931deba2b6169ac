"""`Expect: 100-continue`: a client that asks before it sends its document is told to go on when it may, not before.

aiohttp tells it at once, so that a document is sent to be refused.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, hdrs, web

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def later(request: web.Request) -> None:
    """The expect handler of a route whose handler calls `go_on`. Raises HTTPExpectationFailed for another word."""
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def go_on(request: web.Request) -> None:
    """Let the client send its body."""
    if request.version >= HttpVersion11 and hdrs.EXPECT in request.headers:
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0  # no answer has begun

"""`Expect: 100-continue`: a client that asks before it sends its document is told to go on when it may, not before.

aiohttp tells it at once, so that a document is sent to be refused.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, hdrs, web

from services.gateway.problems import Problem

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def later(_: web.Request) -> None:
    """The expect handler of a route whose handler calls `go_on`."""


async def go_on(request: web.Request) -> None:
    """Let the client send its body. Raises Problem (417) where it expects something else."""
    expected = request.headers.get(hdrs.EXPECT)
    if expected is None:
        return
    if expected.lower() != "100-continue":
        raise Problem("refused", f"Expect is {expected[:80]!r}: only 100-continue is known.", status=417)
    if request.version >= HttpVersion11:
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0  # no answer has begun

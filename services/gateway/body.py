"""A request's body, in pieces: never longer than allowed, never slower than allowed, never silently cut short."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import ClientError, web
from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import PayloadAccessError

from services.gateway.problems import Problem

PIECE_BYTES = 256 * 1024
"""Chunks are gathered to this size: parsing many small ones is an order of magnitude slower (measured)."""
LEAST_BYTES_PER_S = 500
"""Slower is no connection but a way to keep one occupied: a modem of 1990 was faster. Our own time is not counted."""


class Body:
    """Reads from `read`, which answers some bytes, and b"" at the end."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], *, limit_bytes: int, stall_s: float) -> None:
        self._read = read
        self._limit_bytes = limit_bytes
        self._stall_s = stall_s
        self._waited_s = 0.0
        self._in_window = 0
        self.received = 0
        """Bytes so far."""

    async def piece(self) -> bytes:
        """The next 256 KB or more; less only at the end, then b"". Raises Problem."""
        parts: list[bytes] = []
        size = 0
        while size < PIECE_BYTES:
            chunk = await self._chunk()
            if not chunk:
                break
            parts.append(chunk)
            size += len(chunk)
            self.received += len(chunk)
            if self.received > self._limit_bytes:
                raise too_large(self._limit_bytes)
        return b"".join(parts)

    async def _chunk(self) -> bytes:
        began = time.monotonic()
        async with arriving(self._stall_s, self.received):
            chunk = await self._read()
        self._waited_s += time.monotonic() - began
        self._in_window += len(chunk)
        if self._waited_s >= self._stall_s:
            if chunk and self._in_window < LEAST_BYTES_PER_S * self._waited_s:
                raise _too_slow(self._in_window, self._waited_s, self.received)
            self._waited_s, self._in_window = 0.0, 0
        return chunk


@asynccontextmanager
async def arriving(stall_s: float, received: int) -> AsyncIterator[None]:
    """Waits inside for the client at most `stall_s`; its time-outs and broken connections become Problems."""
    try:
        async with asyncio.timeout(stall_s):
            yield
    except TimeoutError as error:
        raise Problem(
            "body-timeout",
            f"Nothing came for {stall_s:g} s after the first {received:,} bytes: send the request again.",
            received_bytes=received,
        ) from error
    except (OSError, ClientError, HttpProcessingError, PayloadAccessError) as error:
        raise Problem(
            "incomplete-body",
            f"The body broke off, or its framing did, after {received:,} bytes: send the request again.",
            received_bytes=received,
        ) from error


def _too_slow(count: int, waited_s: float, received: int) -> Problem:
    return Problem(
        "body-timeout",
        f"Only {count:,} bytes came within {waited_s:.0f} s: send the request again over a faster connection.",
        received_bytes=received,
        least_bytes_per_s=LEAST_BYTES_PER_S,
    )


def of(request: web.Request, *, limit_bytes: int, stall_s: float) -> Body:
    """The body of a request. Raises Problem at once where its Content-Length is too large."""
    check_length(request, limit_bytes=limit_bytes)
    return Body(request.content.readany, limit_bytes=limit_bytes, stall_s=stall_s)


def check_length(request: web.Request, *, limit_bytes: int) -> None:
    """Raises Problem where the Content-Length is too large."""
    if (request.content_length or 0) > limit_bytes:
        raise too_large(limit_bytes)


def too_large(limit_bytes: int) -> Problem:
    return Problem(
        "body-too-large",
        f"The body has more than the {limit_bytes:,} bytes that are taken: send a smaller document, or in parts.",
        limit_bytes=limit_bytes,
    )

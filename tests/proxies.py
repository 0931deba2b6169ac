"""A TCP proxy that can break: what stands between a fleet and its Redis in tests of lost connections and lost replies.

The ideas are toxiproxy's (pass, black hole, reset), and one more: a command is executed and its reply is lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

Mode = Literal["pass", "black_hole", "refuse"]
"""`black_hole`: bytes are taken and go nowhere, in both directions. `refuse`: connections are reset as they come."""

CHUNK = 1 << 16
_LINGER_NOT = struct.pack("ii", 1, 0)  # close sends a reset


class Proxy:
    """Connections to `target` go through `port` of 127.0.0.1 while `proxy` runs."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.mode: Mode = "pass"
        self.dropped = 0
        """Replies that were lost on command so far."""
        self._links: set[_Link] = set()
        self._to_drop = 0
        self._wanted: Callable[[bytes], bool] = bool

    @property
    def links(self) -> int:
        """Connections that are open."""
        return len(self._links)

    def reset_all(self) -> int:
        """Reset every connection. Answers how many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def drop_replies(self, count: int, *, to: Callable[[bytes], bool] = bool) -> None:
        """Lose the replies to the next `count` requests for which `to(request)` is true: the server executes them, and
        then their connections are reset. `request` is what was sent at once, a pipeline in one piece.
        """
        self._to_drop, self._wanted = count, to

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            if self.mode == "refuse":
                link.reset()
                return
            upstream, server = await asyncio.open_connection("127.0.0.1", self.target)
            link.server = server
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(link, reader, server))
                group.create_task(self._down(link, upstream, writer))
        except* (OSError, _Closed):
            pass
        finally:
            self._links.discard(link)
            link.close()

    async def _up(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while request := await source.read(CHUNK):
            if self.mode == "black_hole":
                continue
            if self._to_drop > 0 and self._wanted(request):
                self._to_drop -= 1
                link.loses_reply = True
            sink.write(request)
            await sink.drain()
        raise _Closed

    async def _down(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while reply := await source.read(CHUNK):
            if link.loses_reply:
                self.dropped += 1
                link.reset()
                raise _Closed
            if self.mode == "black_hole":
                continue
            sink.write(reply)
            await sink.drain()
        raise _Closed


class _Closed(Exception):
    """One side has closed: the other one is closed too."""


class _Link:
    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._client = client
        self.server: asyncio.StreamWriter | None = None
        self.loses_reply = False

    def reset(self) -> None:
        """Both ends see a connection that was reset, not one that was closed in order."""
        for end in (self._client, self.server):
            if end is not None and (sock := end.get_extra_info("socket")) is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                end.transport.abort()

    def close(self) -> None:
        for end in (self._client, self.server):
            if end is not None:
                end.close()


@asynccontextmanager
async def proxy(target: int, *, port: int = 0) -> AsyncIterator[Proxy]:
    """A proxy before `target`, a port of 127.0.0.1; on a free port of its own unless `port` says which."""
    made = Proxy(target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.reset_all()
        await asyncio.sleep(0)  # the connections' tasks see it

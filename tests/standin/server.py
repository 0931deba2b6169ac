"""The server: `async with serve(Behaviour(...)) as model:` gives `model.url`, `model.calls`, `model.behave(...)`.

The same over HTTP: `POST /control` (a Behaviour as JSON; it replaces the one in force; `{}`: it behaves well),
`GET /control`, `GET /calls`, `GET /spoken` (calls for speech), `DELETE /calls`, `GET /stats`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp import web

from tests.standin import delivery
from tests.standin.behaviour import Behaviour
from tests.standin.calls import Call, Log, Stats
from tests.standin.chat import Chat
from tests.standin.speech import Speech

_READ_BUFFER = 1 << 20  # bytes; an image's request is then read without pausing the socket
_CLOSING_S = 0.05  # calls in flight at the end of a test are cut off; a hanging one would never end


class Model:
    """A running stand-in."""

    def __init__(self, behaviour: Behaviour, session: aiohttp.ClientSession) -> None:
        self.port = 0
        self._log = Log()
        self._chat = Chat(behaviour, self._log, session)
        self._speech = Speech(behaviour)

    @property
    def url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> list[Call]:
        """In order of arrival; those in flight change while one looks."""
        return self._log.calls

    @property
    def spoken(self) -> list[Call]:
        """Calls for speech, which are none of `calls`, in order of arrival; `prompt` is the text."""
        return self._speech.log.calls

    @property
    def behaviour(self) -> Behaviour:
        """The one in force; `msgspec.structs.replace` makes another of it."""
        return self._chat.behaviour

    def behave(self, behaviour: Behaviour) -> None:
        """From the next call on. Rules count anew, and the limits' buckets begin full."""
        self._chat.behave(behaviour)
        self._speech.behave(behaviour)

    def stats(self) -> Stats:
        return self._log.stats()

    def forget(self) -> None:
        """Empty the logs of calls."""
        self._log.reset()
        self._speech.log.reset()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._chat.handle),
            web.post("/v1/audio/speech", self._speech.handle),
            web.get("/v1/models", self._models),
            web.get("/control", self._get_control),
            web.post("/control", self._post_control),
            web.get("/calls", self._get_calls),
            web.get("/spoken", self._get_spoken),
            web.delete("/calls", self._delete_calls),
            web.get("/stats", self._get_stats),
        ]

    async def _models(self, _: web.Request) -> web.Response:
        if self.behaviour.silent:
            await delivery.never()
        model = {"id": "stand-in", "object": "model", "created": 0, "owned_by": "tests"}
        return _json({"object": "list", "data": [model]})

    async def _get_control(self, _: web.Request) -> web.Response:
        return _json(self.behaviour)

    async def _post_control(self, request: web.Request) -> web.Response:
        try:
            self.behave(msgspec.json.decode(await request.read(), type=Behaviour))
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=f"This is no behaviour: {error}\n")
        return _json(self.behaviour)

    async def _get_calls(self, _: web.Request) -> web.Response:
        return _json(self.calls)

    async def _get_spoken(self, _: web.Request) -> web.Response:
        return _json(self.spoken)

    async def _delete_calls(self, _: web.Request) -> web.Response:
        self.forget()
        return web.Response(status=204)

    async def _get_stats(self, _: web.Request) -> web.Response:
        return _json(self.stats())


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


@asynccontextmanager
async def serve(behaviour: Behaviour | None = None, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Model]:
    """Serve until the block ends, well-behaved by default. Raises OSError when the port is taken."""
    async with aiohttp.ClientSession() as session:
        model = Model(behaviour or Behaviour(), session)
        app = web.Application()
        app.add_routes(model.routes())
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # so that a client that goes away ends its call, and is noted
            shutdown_timeout=_CLOSING_S,
            read_bufsize=_READ_BUFFER,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            model.port = runner.addresses[0][1]
            yield model
        finally:
            await runner.cleanup()

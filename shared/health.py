"""Every process answers on its own port: /livez (the loop turns), /readyz (it can work), /metrics (Prometheus)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Ailments = Callable[[], Awaitable[list[str]]]
"""Answers a sentence for each thing that keeps this process from working; empty when it is ready."""


async def _nothing() -> list[str]:
    return []


def routes(
    ailments: Ailments, *, notices: Ailments = _nothing, tell: Callable[[web.Request], bool] = lambda _: True
) -> list[web.RouteDef]:
    """The three routes, to be added to any application.

    `notices`: what is told, though the process is ready. `tell`: whether who asks may read the sentences.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        problems = await ailments()
        body: dict[str, object] = {"status": "unready" if problems else "ready"}
        if tell(request):
            body |= {"problems": problems, "notices": [] if problems else await notices()}
        return web.Response(
            body=msgspec.json.encode(body), status=503 if problems else 200, content_type="application/json"
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


@asynccontextmanager
async def serve(app: web.Application, *, host: str, port: int, shutdown_s: float = 5) -> AsyncIterator[int]:
    """Serve the application; yields the port that it got (for port 0). Raises OSError when the port is taken."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=shutdown_s)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()

"""What every call to the model's server needs, whatever is asked: a client, a time limit, a word to the limiter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import openai

from shared import metrics
from shared.ai import failures
from shared.ai.failures import CallFailed
from shared.limiter import Limiter, Permit, Result
from shared.settings import SettingsError

T = TypeVar("T")

CONNECT_S = 10.0


@asynccontextmanager
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    """Of the server that OPENAI_BASE_URL and OPENAI_API_KEY name.

    Raises SettingsError where there is no key for OpenAI itself.
    """
    key, base_url = os.environ.get("OPENAI_API_KEY"), os.environ.get("OPENAI_BASE_URL")
    if not key and not base_url:
        raise SettingsError("OPENAI_API_KEY: not set; set it, or OPENAI_BASE_URL for a server of your own")
    made = openai.AsyncOpenAI(
        api_key=key or "none",  # servers of one's own often want none; the library insists on one
        max_retries=0,
        timeout=openai.Timeout(None, connect=CONNECT_S),  # the whole call has its limit in `post`
        http_client=openai.DefaultAioHttpClient(),
    )
    async with made:
        yield made


async def post(
    server: openai.AsyncOpenAI, path: str, body: bytes, *, accept: str, timeout_s: float
) -> openai.HttpxBinaryResponseContent:
    """One call, JSON in; its whole answer. Raises CallFailed."""
    host = server.base_url.host
    try:
        with metrics.MODEL_SECONDS.time():
            async with asyncio.timeout(timeout_s):
                return await server.post(
                    path,
                    cast_to=openai.HttpxBinaryResponseContent,
                    content=body,
                    options={"headers": {"Content-Type": "application/json", "Accept": accept}},
                )
    except TimeoutError as error:
        raise CallFailed(f"The model's server {host} gave no answer within {timeout_s:g} s", kind="down") from error
    except (openai.OpenAIError, aiohttp.ClientError, OSError) as error:
        raise failures.sort(error, server=host, secret=server.api_key) from error


class Books:
    """Settles each call with the limiter, also one whose task is cancelled meanwhile."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._writing: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def calling(self, permit: Permit) -> AsyncIterator[None]:
        """Around a call: while it lasts, a probe stays the only one."""
        if not permit.probe:
            yield
            return
        over = asyncio.Event()
        self._write(self._limiter.extend(permit, over), name="probe")
        try:
            yield
        finally:
            over.set()

    async def settle(self, permit: Permit, result: Result) -> bool:
        """True where a failure counts."""
        metrics.MODEL_CALLS.labels(result.kind).inc()
        return await asyncio.shield(self._write(self._limiter.settle(permit, result), name="settle"))

    async def settled(self) -> None:
        """Return when the limiter knows of every call."""
        if self._writing:
            await asyncio.wait(self._writing)

    def _write(self, writing: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(writing, name=name)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

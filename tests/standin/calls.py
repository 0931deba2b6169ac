"""The log of calls: what was asked, what was done about it, who hung up; and its statistics."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web


class Call(msgspec.Struct, kw_only=True):
    """One request to /v1/chat/completions or /v1/audio/speech. Times are `time.time()`."""

    n: int
    """1-based, in order of arrival."""
    at: float
    """When its headers had come."""
    ended: float | None = None
    """When it was answered, cut off, or left by the client; None: it is in flight."""
    schema: str = ""
    """Of shared.results.NAMES, or `speech`; empty while its body is on the way, or if unreadable."""
    format: str = ""
    """`response_format.type`: json_schema, json_object, or empty."""
    token: str = ""
    """Of its first image; empty without one. Of a call for speech: its text."""
    pages: list[int] = []
    """Pages named by the sections of the prompt; without such, the one that the image's token names."""
    status: int = 0
    """HTTP status; 0: it got none."""
    did: str = ""
    """What was done: a rule's `does` (errors as error_503), limit_requests, limit_tokens, bad_request, silent."""
    aborted: bool = False
    """The client went away before it had the whole answer."""
    model: str = ""
    temperature: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    headers: dict[str, str] = {}
    """Those of `HEADERS` that it had."""
    prompt: str = ""
    """All text of its messages, where the behaviour says to keep it."""

    @property
    def unit(self) -> str:
        """Same image, or same pages of a summary: the same piece of work."""
        return self.token or f"{self.schema} {self.pages}"


HEADERS = ("content-length", "idempotency-key", "traceparent", "user-agent", "x-stainless-retry-count")


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /stats` tells."""

    calls: int
    in_flight: int
    peak_in_flight: int
    by_schema: dict[str, dict[str, int]]
    """Schema -> outcome -> calls; an outcome is `Call.did`, or aborted, or in_flight."""
    by_token: dict[str, int]
    """Image token -> calls."""
    answered_by_token: dict[str, int]
    """Image token -> calls that got a right answer and stayed for it: what a model bills."""


class Log:
    """All calls since the start or the last `reset`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._in_flight = 0
        self._peak = 0

    async def noted(
        self, request: web.Request, answered: Callable[[web.Request, Call], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request, and note from its first byte to its last what becomes of it."""
        headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
        call = Call(n=len(self.calls) + 1, at=time.time(), headers=headers)
        self.calls.append(call)
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)
        try:
            response = await answered(request, call)
        except (asyncio.CancelledError, ConnectionError):
            call.aborted = request.transport is None  # else it is this server that ends
            raise
        else:
            call.status = 0 if call.did == "reset" else response.status
            return response
        finally:
            call.ended = time.time()
            self._in_flight -= 1

    def reset(self) -> None:
        """Forget the calls. Those in flight go on, and count as in flight until they end."""
        self.calls = []
        self._peak = self._in_flight

    def stats(self) -> Stats:
        by_schema: dict[str, Counter[str]] = defaultdict(Counter)
        for call in self.calls:
            outcome = "aborted" if call.aborted else call.did if call.ended else "in_flight"
            by_schema[call.schema][outcome] += 1
        return Stats(
            calls=len(self.calls),
            in_flight=self._in_flight,
            peak_in_flight=self._peak,
            by_schema={schema: dict(outcomes) for schema, outcomes in by_schema.items()},
            by_token=Counter(call.token for call in self.calls if call.token),
            answered_by_token=Counter(
                call.token
                for call in self.calls
                if call.token and call.did == "answer" and call.ended and not call.aborted
            ),
        )

"""The door to speech: any server that speaks OpenAI's /v1/audio/speech. It keeps the promises of `model.py`.

A server that has no speech, or not this model or voice, costs the narration only: it is Refused, and nobody waits for a
person. What ails the key or the account stays Stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import openai

from shared import spending
from shared.ai import calls, prices, ratelimits, wording
from shared.ai.calls import Books
from shared.ai.failures import CallFailed
from shared.ai.prices import Prices
from shared.errors import Gone, RetryLater
from shared.limiter import Limiter, Result
from shared.outcomes import Usage
from shared.settings import ModelSettings

_OF_THE_ACCOUNT = frozenset({401, 402, 403, 429})
_NO_SPEECH = frozenset({404, 405, 501})
_OTHER_SOUND = {b"RIFF": "WAV", b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC"}

Clear = Callable[[], Awaitable[None]]
"""Returns when a call may start now; raises Gone if its job was cancelled."""


@asynccontextmanager
async def connect(settings: ModelSettings, limiter: Limiter, *, timeout_s: float) -> AsyncIterator[Speech]:
    """The server as OPENAI_BASE_URL and OPENAI_API_KEY name it; `timeout_s` of a call.

    Raises SettingsError where there is no key for OpenAI itself, or PRICES_FILE is malformed.
    """
    table = prices.load(settings.prices_file)
    async with calls.client() as client:
        speech = Speech(client, limiter, table, timeout_s=timeout_s)
        try:
            yield speech
        finally:
            await speech.books.settled()


class Speech:
    """Speaks with the models of one server."""

    def __init__(self, client: openai.AsyncOpenAI, limiter: Limiter, table: Prices, *, timeout_s: float) -> None:
        self._client = client
        self._limiter = limiter
        self._prices = table
        self._timeout_s = timeout_s
        self.books = Books(limiter)

    def cost_usd(self, model: str) -> float | None:
        """Of a call. The API does not tell what speech used, so that only what costs nothing has a known cost."""
        return 0.0 if self._prices.cost_usd(model, tokens_in=1, tokens_out=1) == 0 else None

    async def say(self, text: str, *, model: str, voice: str, clear: Clear) -> bytes:
        """PCM: 24,000 samples a second of 16 bits, little-endian, one channel, no header.

        `text`: at most 4,096 characters. Raises RetryLater (the server is busy or down, or answered with no sound),
        Refused, Stop, and what `clear` raises.
        """
        asked = {"model": model, "voice": voice, "input": text, "response_format": "pcm"}
        permit = await self._limiter.acquire()
        try:
            async with self.books.calling(permit):
                await clear()
                answer = await calls.post(
                    self._client,
                    "/audio/speech",
                    msgspec.json.encode(asked),
                    accept="application/octet-stream",
                    timeout_s=self._timeout_s,
                )
        except CallFailed as failed:
            failure = self._judged(failed, model, voice)
            failure.counted = await self.books.settle(permit, failure.result)
            raise failure.error from failed
        except (Gone, asyncio.CancelledError):  # the permit must not leak
            await self.books.settle(permit, Result(kind="cancelled"))
            raise
        flaw = _flaw(answer.content, answer.response.headers.get("content-type", ""))
        told = ratelimits.limits(answer.response.headers)
        await self.books.settle(permit, Result(kind="unreadable" if flaw else "ok", limits=told, reason=flaw))
        if flaw:  # a piece that is there is counted with the narration, whichever attempt bought it
            spending.note(Usage(calls=1, cost_usd=self.cost_usd(model)))
            raise RetryLater(f"The model's server {self._client.base_url.host} {flaw}")
        return answer.content

    def _judged(self, failed: CallFailed, model: str, voice: str) -> CallFailed:
        """The failure as it is for speech."""
        if failed.status not in _NO_SPEECH and (failed.kind != "stop" or failed.status in _OF_THE_ACCOUNT):
            return failed
        error = failed.__cause__
        words = wording.said(error.body) if isinstance(error, openai.APIStatusError) else ""
        told = wording.clean(words, secret=self._client.api_key).rstrip(".")
        return CallFailed(
            f"The model's server {self._client.base_url.host} does not speak with TTS_MODEL {model!r} and TTS_VOICE "
            f"{voice!r}: it answered {failed.status}{f': {told}' if told else ''}; name a model and a voice that it "
            "has, or submit with narrate=false",
            kind="refused",
            status=failed.status,
            limits=failed.limits,
        )


def _flaw(sound: bytes, content_type: str) -> str:
    """What keeps an answer from being PCM; empty: nothing."""
    if content_type.startswith(("text/", "application/json")):
        return f"answered with {content_type.partition(';')[0]} in place of sound"
    if len(sound) < 2:
        return "answered without sound"
    other = next((name for magic, name in _OTHER_SOUND.items() if sound.startswith(magic)), "")
    return f"answered with {other}, though PCM was asked for" if other else ""

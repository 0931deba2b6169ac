"""POST /v1/audio/speech: what comes in, what is refused, and the sound."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from services.local_model import encoding, wire
from services.local_model.answering import MODEL
from services.local_model.voice import MISSING, VOICE_MODEL, Voice
from services.local_model.wire import Refusal

LONGEST_INPUT = 4_096  # characters, as OpenAI has it


class SpeechRequest(msgspec.Struct):
    """OpenAI's. `voice` is any name: there is one voice. `instructions` are not followed."""

    model: str
    input: str
    voice: object = ""
    response_format: Literal["pcm", "wav", "mp3", "opus", "aac", "flac"] = "mp3"
    speed: float = 1.0
    stream_format: Literal["audio", "sse"] = "audio"


async def speech(request: web.Request, voice: Voice | None) -> web.Response:
    """Speak. Raises Refusal for what can't be spoken, and where there is no voice."""
    if voice is None:
        raise Refusal(501, MISSING, code="speech_not_installed")
    asked = decoded(await request.read())
    samples = await voice.say(asked.input, speed=asked.speed, gone=lambda: request.transport is None)
    body = encoding.encoded(samples, asked.response_format)
    return web.Response(body=body, content_type=encoding.MEDIA_TYPES[asked.response_format])


def decoded(body: bytes) -> SpeechRequest:
    """Raises Refusal for what is not a request, and for what this voice can't do."""
    asked = wire.decode(body, SpeechRequest)
    if asked.model not in (VOICE_MODEL, MODEL):  # who knows this server by one name may use it for everything
        raise Refusal(
            404,
            f"The model {asked.model!r} does not speak here; {VOICE_MODEL!r} does.",
            param="model",
            code="model_not_found",
        )
    if not asked.input.strip():
        raise Refusal(400, "input is empty; send the text to speak.", param="input", code="empty_string")
    if len(asked.input) > LONGEST_INPUT:
        raise Refusal(
            400,
            f"input has {len(asked.input)} characters, more than {LONGEST_INPUT}; send it in pieces.",
            param="input",
            code="string_above_max_length",
        )
    if not 0.25 <= asked.speed <= 4:
        raise Refusal(400, f"speed is {asked.speed}; it goes from 0.25 to 4.", param="speed", code="invalid_value")
    if asked.stream_format != "audio":
        raise Refusal(
            400,
            "stream_format is sse; this voice answers in one piece.",
            param="stream_format",
            code="unsupported_value",
        )
    if asked.response_format not in (known := encoding.formats()):
        raise Refusal(
            400,
            f"response_format is {asked.response_format}; this server makes {', '.join(known)}.",
            param="response_format",
            code="unsupported_value",
        )
    return asked

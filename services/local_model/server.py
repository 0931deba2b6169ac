"""The HTTP server: /v1/chat/completions, /v1/audio/speech, /v1/models, and the routes that every process has."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor

import msgspec
from aiohttp import web
from prometheus_client import Counter, Histogram

from services.local_model import answering, images, speaking, wire
from services.local_model.answering import DESCRIPTION, FINGERPRINT, MODEL, Form
from services.local_model.eyes import Eyes
from services.local_model.recognising import Seen
from services.local_model.voice import ABOUT_VOICE, VOICE_MODEL, Voice
from services.local_model.wire import ChatCompletion, ChatRequest, Refusal
from shared import health

LONGEST_BODY = 64 * 1024 * 1024  # bytes; the largest page image that a fleet sends is below 10 MB
_AT_ONCE = 12_000
"""Characters of text that are answered without leaving the loop: a full page, about 5 ms."""

ANSWERS = Counter("quire_local_model_answers", "Answers given, by what was asked for", ["form"])
SECONDS = Histogram(
    "quire_local_model_answer_seconds",
    "Time to make an answer",
    ["form"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(workers: Executor, eyes: Eyes | None, voice: Voice | None) -> web.Application:
    """The application. `workers`: where long texts are summarised while the loop goes on; one thread is enough.

    `eyes` and `voice` are None where their packages aren't installed.
    """
    started = int(time.time())
    offered = {MODEL: DESCRIPTION} | ({VOICE_MODEL: ABOUT_VOICE} if voice else {})

    async def completions(request: web.Request) -> web.StreamResponse:
        asked = _decoded(await request.read())
        form = answering.form_of(asked)
        began = time.perf_counter()
        seen = await _look(request, asked, form, eyes)
        if len(asked.prompt) + (len(seen.text) if seen else 0) <= _AT_ONCE:
            content = answering.answer(asked, form, seen)
        else:
            content = await asyncio.get_running_loop().run_in_executor(workers, answering.answer, asked, form, seen)
        SECONDS.labels(form).observe(time.perf_counter() - began)
        ANSWERS.labels(form).inc()
        completion = _completion(asked, content)
        return await _streamed(request, asked, completion) if asked.stream else _json(completion)

    async def speech(request: web.Request) -> web.Response:
        began = time.perf_counter()
        sound = await speaking.speech(request, voice)
        SECONDS.labels("speech").observe(time.perf_counter() - began)
        ANSWERS.labels("speech").inc()
        return sound

    async def models(_: web.Request) -> web.Response:
        return _json(wire.Models(data=[_model(name, started, about) for name, about in offered.items()]))

    async def model(request: web.Request) -> web.Response:
        name = request.match_info["id"]
        _known(name, offered)
        return _json(_model(name, started, offered[name]))

    app = web.Application(client_max_size=LONGEST_BODY, middlewares=[_errors])
    app.add_routes(
        [
            web.post("/v1/chat/completions", completions),
            web.post("/v1/audio/speech", speech),
            web.get("/v1/models", models),
            web.get("/v1/models/{id}", model),
            *health.routes(_ailments),
        ]
    )
    return app


async def _ailments() -> list[str]:
    return []  # it needs nothing but itself


def _decoded(body: bytes) -> ChatRequest:
    """Raises Refusal for what is not a request, for another model, and for what this one can't do."""
    asked = wire.decode(body, ChatRequest)
    _known(asked.model, [MODEL])
    if not asked.messages:
        raise Refusal(400, "messages is empty; send at least one.", param="messages", code="empty_array")
    if asked.n not in (None, 1):
        raise Refusal(400, f"n is {asked.n}; this model gives one answer.", param="n", code="unsupported_value")
    return asked


async def _look(request: web.Request, asked: ChatRequest, form: Form, eyes: Eyes | None) -> Seen | None:
    """What stands on the page image, where the text layer doesn't tell and print can be recognised here."""
    url = answering.image_to_see(asked, form)
    if url is None or eyes is None:
        return None
    return await eyes.read(images.data(url), gone=lambda: request.transport is None)


def _known(model: str, offered: Collection[str]) -> None:
    if model not in offered:
        raise Refusal(
            404,
            f"The model {model!r} does not exist here; there is {' and '.join(map(repr, offered))}.",
            param="model",
            code="model_not_found",
        )


def _completion(asked: ChatRequest, content: str) -> ChatCompletion:
    finish = "stop"
    if asked.most_tokens is not None and wire.estimate(content) > asked.most_tokens:
        content, finish = content[: asked.most_tokens * wire.TOKEN_CHARS], "length"
    used_in, used_out = asked.tokens, wire.estimate(content)
    return ChatCompletion(
        id=f"chatcmpl-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=MODEL,
        system_fingerprint=FINGERPRINT,
        choices=[wire.Choice(message=wire.Answer(role="assistant", content=content), finish_reason=finish)],
        usage=wire.Usage(prompt_tokens=used_in, completion_tokens=used_out, total_tokens=used_in + used_out),
    )


async def _streamed(request: web.Request, asked: ChatRequest, completion: ChatCompletion) -> web.StreamResponse:
    """The same answer as server-sent events: it is made at once, so it comes in one piece."""
    (choice,) = completion.choices
    pieces = [
        [wire.ChunkChoice(wire.Delta(role="assistant", content=choice.message.content))],
        [wire.ChunkChoice(wire.Delta(), finish_reason=choice.finish_reason)],
    ]
    usages: list[wire.Usage | None] = [None, None]
    if asked.stream_options and asked.stream_options.include_usage:
        pieces.append([])
        usages.append(completion.usage)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for choices, usage in zip(pieces, usages, strict=True):
        chunk = wire.ChatCompletionChunk(
            id=completion.id,
            created=completion.created,
            model=completion.model,
            system_fingerprint=completion.system_fingerprint,
            choices=choices,
            usage=usage,
        )
        await response.write(b"data: " + msgspec.json.encode(chunk) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _model(name: str, started: int, about: str) -> wire.Model:
    return wire.Model(id=name, created=started, description=about)


def _json(body: msgspec.Struct, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as the API has them: {"error": {"message", "type", "param", "code"}}."""
    try:
        return await handler(request)
    except Refusal as refusal:
        answer = _json(wire.ErrorBody(refusal.error), status=refusal.status)
        if refusal.retry_after_s is not None:
            answer.headers["Retry-After"] = str(refusal.retry_after_s)
        return answer
    except web.HTTPRequestEntityTooLarge:
        message = f"The request has more than {LONGEST_BODY // 2**20} MB. Send smaller images, or fewer pages at once."
        return _json(wire.ErrorBody(wire.Error(message, code="request_too_large")), status=413)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not allowed on {request.path}; it takes {allowed}."
        answer = _json(wire.ErrorBody(wire.Error(message, code="method_not_allowed")), status=405)
        answer.headers["Allow"] = allowed
        return answer
    except web.HTTPNotFound:
        message = (
            f"There is no {request.method} {request.path} here. There are POST /v1/chat/completions, "
            "POST /v1/audio/speech and GET /v1/models."
        )
        return _json(wire.ErrorBody(wire.Error(message, code="unknown_url")), status=404)

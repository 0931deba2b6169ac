"""What happens to one call: it is read, limited, ruled and answered, and noted on the way."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import msgspec
from aiohttp import web

from tests.standin import answers, asked, delivery, limits, marks, replies
from tests.standin.asked import Asked, BadRequest
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.calls import Call, Log
from tests.standin.choice import Choice
from tests.standin.replies import Answer, Reply

_FETCH_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Chat:
    """`/v1/chat/completions` under a behaviour."""

    def __init__(self, behaviour: Behaviour, log: Log, session: aiohttp.ClientSession) -> None:
        self._log = log
        self._session = session
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._choice = Choice(behaviour)
        self._limits = limits.Limits(behaviour, time.monotonic())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self._log.noted(request, self._answered)

    async def _answered(self, request: web.Request, call: Call) -> web.StreamResponse:
        if self.behaviour.silent:
            call.did = "silent"
            await request.content.read()  # a client that goes is noticed only while its bytes are taken
            await delivery.never()
        try:  # not `request.read()`, which would keep the body as long as the call lasts
            answer, right = await self._understood(await request.content.read(), call)
        except BadRequest as error:
            call.did = "bad_request"
            return delivery.whole(replies.error(400, message=str(error), code=error.code, param=error.param))
        exhausted, wait_s = self._limits.take(answer.tokens_in + answer.tokens_out, time.monotonic())
        if exhausted:
            call.did = f"limit_{exhausted}"
            headers = self._limits.headers() | limits.retry_after(wait_s)
            return delivery.whole(replies.error(429, headers=headers))
        return await self._ruled(request, call, answer, right)

    async def _understood(self, body: bytes, call: Call) -> tuple[Answer, msgspec.Struct]:
        """The right answer, as a completion's content and as a struct. Raises BadRequest."""
        wanted = asked.read(body)
        await self._note(call, wanted)
        right = answers.answer(call.schema, call.token, wanted.sections, chars=self.behaviour.answer_chars)
        content = msgspec.json.encode(right).decode()
        answer = Answer(
            n=call.n,
            model=wanted.model,
            content=content,
            tokens_in=replies.tokens(wanted.prompt) + self.behaviour.image_tokens * len(wanted.images),
            tokens_out=replies.tokens(content),
        )
        return answer, right

    async def _note(self, call: Call, wanted: Asked) -> None:
        call.model = wanted.model
        call.temperature = wanted.temperature
        call.format = wanted.format
        call.schema = wanted.schema
        if self.behaviour.keep_prompts:
            call.prompt = wanted.prompt
        for place, url in enumerate(wanted.images):
            image = asked.inline(url) if url.startswith("data:") else await self._fetched(url)
            token = asked.identify(image)
            if place == 0:
                call.token = token
        call.pages = [page for first, last, _ in wanted.sections for page in range(first, last + 1)]
        if not call.pages and (number := marks.page(call.token)):
            call.pages = [number]

    async def _fetched(self, url: str) -> bytes:
        try:
            async with self._session.get(url, timeout=_FETCH_TIMEOUT, raise_for_status=True) as response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BadRequest(
                f"Error while downloading {url}. {error}", code="invalid_image_url", param="url"
            ) from error

    async def _ruled(
        self, request: web.Request, call: Call, answer: Answer, right: msgspec.Struct
    ) -> web.StreamResponse:
        rule = self._choice.rule(call)
        call.did = f"error_{rule.status}" if rule.does == "error" else rule.does
        if latency_s := self._choice.latency_s(rule):
            await asyncio.sleep(latency_s)
        match rule.does:
            case "hang":
                await delivery.never()
            case "reset":
                return delivery.reset(request)
            case "error":
                return delivery.whole(error(rule))
            case "refuse_schema" | "refuse_format":
                return delivery.whole(replies.unsupported(f"'response_format' of type '{call.format}'"))
            case "refuse_temperature":
                return delivery.whole(replies.unsupported(f"'temperature' of {call.temperature}"))
            case "wrong_pages":
                wrong = msgspec.json.encode(answers.miscited(right)).decode()
                answer = msgspec.structs.replace(answer, content=wrong)
        call.tokens_in, call.tokens_out = answer.tokens_in, answer.tokens_out
        reply = replies.reply(rule.does, answer)
        reply = msgspec.structs.replace(reply, headers=self._limits.headers())
        call.status = reply.status
        if rule.does == "dribble":
            return await delivery.dribble(request, reply, rule.body_s)
        return await delivery.cut(request, reply) if rule.does == "cut" else delivery.whole(reply)


def error(rule: Rule) -> Reply:
    """What a rule that `does` error answers."""
    headers = dict(rule.headers)
    if rule.retry_after_s is not None:
        headers |= limits.retry_after(rule.retry_after_s)
    return replies.error(rule.status, code=rule.code or None, headers=headers)

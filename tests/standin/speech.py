"""`/v1/audio/speech` under a behaviour: a tone in PCM, as long as its text takes to say."""

from __future__ import annotations

import array
import asyncio
import math
from typing import Literal

import msgspec
from aiohttp import web

from tests.standin import chat, delivery, replies
from tests.standin.behaviour import Behaviour
from tests.standin.calls import Call, Log
from tests.standin.choice import Choice
from tests.standin.replies import Reply

RATE = 24_000  # samples a second, of 16 bits, one channel: as OpenAI's `pcm`
SAMPLES_A_CHARACTER = RATE // 15  # as fast as people read aloud
MOST_CHARACTERS = 4096

_TONE = array.array("h", (round(6000 * math.sin(2 * math.pi * 220 * at / RATE)) for at in range(RATE))).tobytes()


class _Body(msgspec.Struct):
    model: str
    input: str
    voice: str
    response_format: Literal["pcm"]


def seconds(text: str) -> float:
    """How long it takes to say."""
    return len(text) * SAMPLES_A_CHARACTER / RATE


def sound(text: str) -> bytes:
    """What is answered to it."""
    size = 2 * SAMPLES_A_CHARACTER * len(text)
    return (_TONE * (size // len(_TONE) + 1))[:size]


class Speech:
    """Knows only the rules for `speech`, and has no limits: OpenAI's too are a model's own."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.log = Log()
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        rules = [rule for rule in behaviour.rules if rule.schema == "speech"]
        self._silent = behaviour.silent
        self._choice = Choice(msgspec.structs.replace(behaviour, rules=rules))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.log.noted(request, self._answered)

    async def _answered(self, request: web.Request, call: Call) -> web.StreamResponse:
        call.schema = "speech"
        body = await request.content.read()
        if self._silent:
            call.did = "silent"
            await delivery.never()
        try:
            asked = msgspec.json.decode(body, type=_Body)
        except msgspec.MsgspecError as error:
            call.did = "bad_request"
            return delivery.whole(replies.error(400, message=f"We could not parse your request: {error}"))
        call.model, call.token, call.prompt = asked.model, asked.input, asked.input
        if not 1 <= len(asked.input) <= MOST_CHARACTERS:
            call.did = "bad_request"
            wrong = f"'input' has {len(asked.input)} characters; it should have 1 to {MOST_CHARACTERS}."
            return delivery.whole(replies.error(400, message=wrong, param="input"))
        rule = self._choice.rule(call)
        call.did = f"error_{rule.status}" if rule.does == "error" else rule.does
        if latency_s := self._choice.latency_s(rule):
            await asyncio.sleep(latency_s)
        spoken = Reply(body=sound(asked.input), content_type="audio/pcm")
        match rule.does:
            case "hang":
                await delivery.never()
            case "reset":
                return delivery.reset(request)
            case "error":
                return delivery.whole(chat.error(rule))
            case "cut":
                return await delivery.cut(request, spoken)
            case "dribble":
                return await delivery.dribble(request, spoken, rule.body_s)
            case "html":
                return delivery.whole(replies.proxy_page())
            case "no_content":
                return delivery.whole(Reply(body=b"", content_type="audio/pcm"))
        return delivery.whole(spoken)

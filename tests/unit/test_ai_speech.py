"""The door to speech, against a real server that misbehaves on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.ai import speech
from shared.errors import Gone, Refused, RetryLater, Stop
from shared.settings import ModelSettings
from tests.conftest import eventually
from tests.standin.behaviour import Behaviour, Does, Rule
from tests.standin.server import Model as StandIn
from tests.standin.server import serve
from tests.standin.speech import sound
from tests.unit.test_ai import Books

KEY = "sk-test-0123456789"


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with serve() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


@asynccontextmanager
async def door(books: Books, *, timeout_s: float = 5) -> AsyncIterator[speech.Speech]:
    async with speech.connect(ModelSettings(), books, timeout_s=timeout_s) as made:  # type: ignore[arg-type]
        yield made


async def clear() -> None:
    return None


async def say(books: Books, text: str = "Hello.", *, timeout_s: float = 5) -> bytes:
    async with door(books, timeout_s=timeout_s) as made:
        return await made.say(text, model="tongue", voice="ann", clear=clear)


def failing(status: int, **more: object) -> Behaviour:
    return Behaviour(rules=[Rule(does="error", schema="speech", status=status, **more)])  # type: ignore[arg-type]


async def test_a_text_becomes_sound(model: StandIn) -> None:
    books = Books()
    assert await say(books) == sound("Hello.")
    assert books.kinds == ["ok"]
    assert [(call.model, call.prompt, call.status) for call in model.spoken] == [("tongue", "Hello.", 200)]
    assert model.calls == []


@pytest.mark.parametrize(("status", "code"), [(404, "model_not_found"), (404, "not_found"), (405, ""), (501, "")])
async def test_a_server_that_does_not_speak_costs_the_narration_only(model: StandIn, status: int, code: str) -> None:
    model.behave(failing(status, code=code))
    books = Books()
    with pytest.raises(Refused, match=rf"does not speak with TTS_MODEL 'tongue'.*answered {status}.*narrate=false"):
        await say(books)
    assert books.kinds == ["refused"]


@pytest.mark.parametrize("status", [401, 403])
async def test_what_ails_the_key_waits_for_a_person(model: StandIn, status: int) -> None:
    model.behave(failing(status))
    books = Books()
    with pytest.raises(Stop):
        await say(books)
    assert books.kinds == ["stop"]


async def test_a_busy_server_is_waited_for_and_costs_no_attempt(model: StandIn) -> None:
    model.behave(failing(429, retry_after_s=3))
    books = Books()
    with pytest.raises(RetryLater) as caught:
        await say(books)
    assert (caught.value.after, caught.value.counted) == (3, False)
    assert books.kinds == ["busy"]


@pytest.mark.parametrize("does", ["reset", "cut", "hang"])
async def test_no_answer_is_tried_again(model: StandIn, does: Does) -> None:
    model.behave(Behaviour(rules=[Rule(does=does, schema="speech")]))
    books = Books()
    with pytest.raises(RetryLater, match="gave no answer"):
        await say(books, "A sentence that is long enough to be cut.", timeout_s=0.3)
    assert books.kinds == ["down"]


@pytest.mark.parametrize(("does", "told"), [("html", "text/html in place of sound"), ("no_content", "without sound")])
async def test_an_answer_that_is_no_sound_is_tried_again(model: StandIn, does: Does, told: str) -> None:
    model.behave(Behaviour(rules=[Rule(does=does, schema="speech")]))
    books = Books()
    with pytest.raises(RetryLater, match=told):
        await say(books)
    assert books.kinds == ["unreadable"]


async def test_a_call_of_a_cancelled_job_is_not_made(model: StandIn) -> None:
    async def cancelled() -> None:
        raise Gone("it was cancelled")

    books = Books()
    async with door(books) as made:
        with pytest.raises(Gone):
            await made.say("Hello.", model="tongue", voice="ann", clear=cancelled)
    assert books.kinds == ["cancelled"]
    assert model.spoken == []


async def test_a_call_in_flight_is_aborted_with_its_task(model: StandIn) -> None:
    model.behave(Behaviour(rules=[Rule(does="hang", schema="speech")]))
    books = Books()
    async with door(books) as made:
        task = asyncio.create_task(made.say("Hello.", model="tongue", voice="ann", clear=clear))

        async def arrived() -> int:
            return len(model.spoken)

        await eventually(arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def aborted() -> bool:
            return model.spoken[0].aborted

        await eventually(aborted)
    assert books.kinds == ["cancelled"]


async def test_only_what_costs_nothing_has_a_known_cost(model: StandIn) -> None:
    async with door(Books()) as made:
        assert made.cost_usd("quire-voice-1") == 0.0
        assert made.cost_usd("gpt-6-luna") is None
        assert made.cost_usd("gpt-4o-mini-tts") is None

"""The stand-in model talks nonsense, or wants to be asked otherwise, on command; as the real client meets it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec
import openai
import pytest

from shared import markup
from shared.results import BatchSummary, DocumentSummary, PageAnalysis
from tests.standin.asking import ask, client, inline, summarise
from tests.standin.behaviour import Does
from tests.standin.server import Model, serve
from tests.standin.trying import IMAGE, misbehave, read


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serve() as running:
        yield running


@pytest.fixture
async def caller(model: Model) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client(model.url) as openai_client:
        yield openai_client


async def test_a_body_that_is_not_json_cannot_be_decoded(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "not_json")
    with pytest.raises(json.JSONDecodeError):
        await read(caller)


async def test_a_proxys_page_is_html_with_status_200(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "html")
    response = await caller.chat.completions.with_raw_response.create(
        model="eyes", messages=[{"role": "user", "content": "Summarise."}]
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("does", "finish", "starts"),
    [
        ("content_not_json", "stop", "Sure!"),
        ("wrong_shape", "stop", '{"page"'),
        ("truncated", "length", '{"text"'),
        ("repeats", "stop", '{"text"'),
        ("no_content", "stop", None),
        ("content_filter", "content_filter", None),
        ("refusal", "stop", None),
    ],
)
async def test_a_content_may_be_garbage(
    model: Model, caller: openai.AsyncOpenAI, does: Does, finish: str, starts: str | None
) -> None:
    misbehave(model, does)
    choice = (await read(caller)).choices[0]
    assert choice.finish_reason == finish
    assert bool(choice.message.refusal) == (does == "refusal")
    content = choice.message.content
    if starts is None or content is None:
        assert content is starts
        return
    assert content.startswith(starts)
    if does == "repeats":
        assert msgspec.json.decode(content, type=PageAnalysis).text.count("The ") == 80
    else:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(content, type=PageAnalysis)
    assert model.calls[0].did == does
    assert model.stats().answered_by_token == {}


async def test_summaries_repeat_themselves_on_command(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "repeats")
    batch = await summarise(caller, BatchSummary, markup.page(1, "The first."))
    assert batch.statements[0].text.count("The ") == 80
    document = await summarise(caller, DocumentSummary, markup.page(1, "The first."))
    assert document.abstract.count("The ") == 80


async def test_an_answer_may_have_no_choices(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "empty_choices")
    assert (await read(caller)).choices == []


async def test_a_server_may_refuse_schemas_and_take_plain_json(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "refuse_schema")
    with pytest.raises(openai.BadRequestError, match="response_format") as raised:
        await read(caller)
    assert raised.value.param == "response_format"
    await ask(caller, PageAnalysis, "Answer in JSON.", image=inline(IMAGE), form="json_object")
    misbehave(model, "refuse_format")
    with pytest.raises(openai.BadRequestError, match="response_format"):
        await ask(caller, PageAnalysis, "Answer in JSON.", image=inline(IMAGE), form="json_object")


async def test_a_model_may_refuse_a_temperature(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "refuse_temperature")
    with pytest.raises(openai.BadRequestError, match=r"'temperature' of 0\.0 is not supported"):
        await read(caller)
    message: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Summarise."}]
    assert (await caller.chat.completions.create(model="eyes", messages=message)).choices

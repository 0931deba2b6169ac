"""The built-in model as a process, asked by the real `openai` client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import aiohttp
import msgspec
import openai
import pytest
from openai import AsyncOpenAI

from services.local_model.answering import ABOUT, FINGERPRINT, MODEL
from services.local_model.wire import IMAGE_TOKENS
from shared import markup
from shared.results import PageAnalysis

PROJECT = Path(__file__).parents[2]
PAGE = "5 Tides\nTides are the regular rise and fall of the water, and they follow the moon around the earth."
SCHEMA = {"type": "json_schema", "json_schema": {"name": "page_analysis", "strict": True, "schema": {"type": "object"}}}


class Server:
    """The process, and the address that it told in its log."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.local_model"),
        cwd=PROJECT,
        env={**os.environ, "PORT": "0", "LOG_FORMAT": "json"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr
        async with asyncio.timeout(20):
            line = json.loads(await process.stderr.readline())
        yield Server(process, line["port"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def chat(client: AsyncOpenAI, content: object, **fields: object) -> Awaitable[openai.types.chat.ChatCompletion]:
    arguments = {"model": MODEL, **fields}
    return client.chat.completions.create(messages=[{"role": "user", "content": content}], **arguments)


async def test_a_page_with_its_image_is_read(client: AsyncOpenAI) -> None:
    parts = [
        {"type": "text", "text": f"Read page 12. Its text layer:\n{markup.page(12, PAGE)}"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + "A" * 500_000}},
    ]
    completion = await chat(client, parts, response_format=SCHEMA)
    page = msgspec.json.decode(completion.choices[0].message.content or "", type=PageAnalysis)
    assert page.headings == ["5 Tides"]
    assert page.summary.startswith("Tides are the regular rise and fall of the water")
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.model, completion.system_fingerprint) == (MODEL, FINGERPRINT)
    assert completion.usage
    assert IMAGE_TOKENS < completion.usage.prompt_tokens < IMAGE_TOKENS + 100
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


async def test_an_image_alone_is_not_made_up(client: AsyncOpenAI) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    completion = await chat(client, parts, response_format=SCHEMA)
    page = msgspec.json.decode(completion.choices[0].message.content or "", type=PageAnalysis)
    assert (page.text, page.kind, page.confidence) == ("", "other", 0.0)
    assert "cannot see images" in page.summary


async def test_the_one_model_is_listed_and_says_what_it_is(client: AsyncOpenAI) -> None:
    models = [model async for model in await client.models.list()]
    assert [model.id for model in models] == [MODEL]
    assert "Not a language model" in models[0].description  # type: ignore[attr-defined]
    assert (await client.models.retrieve(MODEL)).id == MODEL


async def test_another_model_is_not_found_and_the_answer_names_the_one_there_is(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=MODEL) as told:
        await chat(client, "Hello", model="gpt-5")
    assert (told.value.code, told.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError, match=MODEL):
        await client.models.retrieve("gpt-5")


async def test_a_plain_question_is_answered_whole_and_streamed(client: AsyncOpenAI) -> None:
    completion = await chat(client, "Who are you?")
    assert completion.choices[0].message.content == ABOUT
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Who are you?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == ABOUT
    assert chunks[-1].usage == completion.usage


async def test_an_answer_is_cut_where_the_client_wants_no_more(client: AsyncOpenAI) -> None:
    completion = await chat(client, "Who are you?", max_completion_tokens=10)
    assert completion.choices[0].finish_reason == "length"
    assert completion.choices[0].message.content == ABOUT[:40]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"n": 2}, "n is 2; this model gives one answer"),
        ({"max_tokens": "many"}, "Expected `int | null`, got `str`"),
        ({"response_format": {**SCHEMA, "json_schema": {"name": "poem"}}}, "is named 'poem'"),
    ],
)
async def test_what_it_cannot_do_is_told(client: AsyncOpenAI, fields: dict[str, object], told: str) -> None:
    with pytest.raises(openai.BadRequestError, match=told):
        await chat(client, "Hello", **fields)


async def test_a_body_that_is_too_large_is_refused_with_the_limit(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="more than 64 MB") as told:
        await chat(client, "A" * 65 * 2**20)
    assert told.value.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/v1/chat/completions", b"", 405, "it takes POST"),
        ("POST", "/v1/embeddings", b"{}", 404, "There is no POST /v1/embeddings here"),
        ("POST", "/v1/chat/completions", b"{", 400, "The body is not JSON"),
        ("POST", "/v1/chat/completions", b"{}", 400, "missing required field `model`"),
    ],
)
async def test_errors_look_as_openais_do(
    server: Server, method: str, path: str, body: bytes, status: int, told: str
) -> None:
    async with aiohttp.request(method, server.url + path, data=body) as answer:
        assert answer.status == status
        error = (await answer.json())["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert told in error["message"]
    assert error["type"] == "invalid_request_error"


async def test_it_is_alive_ready_and_counted(server: Server, client: AsyncOpenAI) -> None:
    await chat(client, "Who are you?")
    for path, expected in (("livez", '"alive"'), ("readyz", '"ready"'), ("metrics", 'answers_total{form="text"} 1.0')):
        async with aiohttp.request("GET", f"{server.url}/{path}") as answer:
            assert answer.status == 200
            assert expected in await answer.text()


async def test_a_page_is_answered_while_a_long_text_is_summarised(client: AsyncOpenAI) -> None:
    sentences = (
        f"The harbour of town {n} is a harbour with {n} ships and a deep water of its own." for n in range(30_000)
    )
    long = asyncio.create_task(_answered(chat(client, " ".join(sentences))))
    pages = 0
    while not long.done():
        await chat(client, markup.page(12, PAGE), response_format=SCHEMA)
        pages += 1
    assert (await long).choices[0].message.content
    assert pages > 3


async def test_it_stops_at_once_when_asked_to_though_a_client_stays_connected(
    server: Server, client: AsyncOpenAI
) -> None:
    await chat(client, "Who are you?")
    server.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await server.process.wait() == 0


async def _answered(answer: Awaitable[openai.types.chat.ChatCompletion]) -> openai.types.chat.ChatCompletion:
    return await answer

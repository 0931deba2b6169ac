"""The built-in model as a process, asked by the real `openai` client."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import os
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import openai
import pytest
from openai import AsyncOpenAI
from PIL import Image, ImageDraw, ImageFont

from services.local_model import voice
from services.local_model.answering import ABOUT, FINGERPRINT, MODEL
from services.local_model.voice import VOICE_MODEL
from services.local_model.wire import IMAGE_TOKENS
from shared import markup
from shared.results import PageAnalysis
from tests.conftest import eventually

PROJECT = Path(__file__).parents[2]
PAGE = "5 Tides\nTides are the regular rise and fall of the water, and they follow the moon around the earth."
SCHEMA = {"type": "json_schema", "json_schema": {"name": "page_analysis", "strict": True, "schema": {"type": "object"}}}


needs_tesseract = pytest.mark.skipif(
    importlib.util.find_spec("tesserocr") is None, reason="tesserocr is not installed: it has no wheel here"
)
needs_piper = pytest.mark.skipif(not voice.installed(), reason="piper-tts is optional and not installed: `make speech`")


class Server:
    """The process, the address that it told in its log, and the log's first line."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, first: dict[str, str]) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.first = first


@asynccontextmanager
async def running(**variables: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.local_model"),
        cwd=PROJECT,
        env={**os.environ, "PORT": "0", "LOG_FORMAT": "json", **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr
        async with asyncio.timeout(20):
            lines = [json.loads(await process.stderr.readline())]
            while "port" not in lines[-1]:
                line = await process.stderr.readline()
                assert line, lines[-1]["message"]
                lines.append(json.loads(line))
        yield Server(process, lines[-1]["port"], lines[0])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def started(folder: Path, *, lacking: str = "", **variables: str) -> AsyncIterator[tuple[Server, AsyncOpenAI]]:
    """A server of its own. `lacking`: a package that it does not find, as where there is no wheel of it."""
    if lacking:
        # Python runs it at its start, wherever it finds it; the finder answers for the package before any other does.
        (folder / "sitecustomize.py").write_text(
            "import importlib.util\n"
            "find = importlib.util.find_spec\n"
            f"importlib.util.find_spec = lambda name, *rest: None if name == {lacking!r} else find(name, *rest)\n"
        )
        variables["PYTHONPATH"] = str(folder)
    async with (
        running(**variables) as server,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield server, client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


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


def scanned(*lines: str) -> dict[str, object]:
    """A page image as a part of a message."""
    page, file = Image.new("L", (1000, 700), 255), io.BytesIO()
    for row, line in enumerate(lines):
        ImageDraw.Draw(page).text((80, 80 + row * 50), line, font=ImageFont.load_default(30), fill=20)
    page.save(file, "PNG")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"}}


@needs_tesseract
async def test_pages_without_a_text_layer_are_read_from_their_images(client: AsyncOpenAI) -> None:
    sentence = "The water in harbour {} rises and falls twice a day."
    pages = await asyncio.gather(
        *(seen(client, f"Read page {n}.", scanned(f"{n} Tides", sentence.format(n))) for n in range(3, 9))
    )
    assert [page.headings for page in pages] == [[f"{n} Tides"] for n in range(3, 9)]
    assert all(sentence.format(n) in page.text for n, page in zip(range(3, 9), pages, strict=True))
    assert all(0.8 < page.confidence <= 0.9 for page in pages)


@needs_tesseract
async def test_an_empty_image_is_a_blank_page_and_a_broken_one_is_refused(client: AsyncOpenAI) -> None:
    page = await seen(client, "Read page 3.", scanned())
    assert (page.kind, page.text, page.summary) == ("blank", "", "")
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError, match="no JPEG, PNG or WebP") as told:
        await seen(client, "Read page 3.", broken)
    assert told.value.code == "invalid_image"


async def seen(client: AsyncOpenAI, text: str, image: dict[str, object]) -> PageAnalysis:
    completion = await chat(client, [{"type": "text", "text": text}, image], response_format=SCHEMA)
    return msgspec.json.decode(completion.choices[0].message.content or "", type=PageAnalysis)


async def test_where_nothing_recognises_text_a_page_is_not_made_up(tmp_path: Path) -> None:
    async with started(tmp_path, lacking="tesserocr") as (server, client):
        page = await seen(client, "Read page 3.", scanned("Tides"))
        assert (page.text, page.kind, page.confidence) == ("", "other", 0.0)
        assert "cannot see images" in page.summary
        assert "the package tesserocr is missing" in server.first["message"]


@needs_tesseract
async def test_the_recognising_processes_end_with_a_server_that_is_killed(server: Server, client: AsyncOpenAI) -> None:
    await seen(client, "Read page 3.", scanned("Tides"))
    children = await _output("pgrep", "-P", str(server.process.pid))
    assert children
    server.process.kill()
    await server.process.wait()

    async def left() -> str:
        return await _output("ps", "-o", "pid=", "-p", ",".join(children.split()))

    await eventually(left, until=lambda pids: not pids)


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode().strip()


@needs_piper
async def test_a_text_is_spoken_as_openai_would(client: AsyncOpenAI) -> None:
    text = "The water in the harbour rises and falls twice a day."
    for form, media_type in (("pcm", "audio/pcm"), ("wav", "audio/wav"), ("mp3", "audio/mpeg")):
        answer = await client.audio.speech.create(model=VOICE_MODEL, voice="alloy", input=text, response_format=form)
        assert answer.response.headers["content-type"] == media_type
        seconds = {"pcm": len(answer.content) / 48_000, "wav": len(answer.content) / 48_000, "mp3": 3}[form]
        assert 2 < seconds < 5
    with pytest.raises(openai.BadRequestError, match="more than 4096; send it in pieces"):
        await client.audio.speech.create(model=VOICE_MODEL, voice="alloy", input="a" * 4097)


async def test_without_a_voice_speech_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    async with started(tmp_path, lacking="piper") as (_, client):
        with pytest.raises(openai.InternalServerError, match="`make speech` installs them") as told:
            await client.audio.speech.create(model=VOICE_MODEL, voice="alloy", input="Hello")
        assert (told.value.status_code, told.value.code) == (501, "speech_not_installed")
        assert [model.id async for model in await client.models.list()] == [MODEL]


async def test_a_language_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"OCR_LANGUAGES: there is no tlh\.traineddata"):
        async with started(tmp_path, OCR_LANGUAGES="eng+tlh"):
            pass


async def test_the_models_are_listed_and_say_what_they_are(client: AsyncOpenAI) -> None:
    models = [model async for model in await client.models.list()]
    assert [model.id for model in models] == [MODEL, VOICE_MODEL][: 2 if voice.installed() else 1]
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

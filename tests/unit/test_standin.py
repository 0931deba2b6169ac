"""The stand-in model answers what it was asked, from what it was shown; shown with the real client over real HTTP."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import openai
import pytest
from aiohttp import web
from PIL import Image

from shared import health, markup, results
from shared.ai import schema
from shared.results import BatchSummary, DocumentSummary, PageAnalysis
from tests import pages
from tests.conftest import eventually
from tests.standin import answers, process
from tests.standin.asking import ask, client, inline, show, summarise
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.server import Model, serve


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serve() as running:
        yield running


async def test_each_page_is_answered_from_its_own_image(model: Model) -> None:
    images = [pages.page_image(number) for number in range(1, 9)]
    async with client(model.url) as openai_client:
        answered = await asyncio.gather(*(show(openai_client, image) for image in images))
    for image, answer in zip(images, answered, strict=True):
        assert pages.token(image) in answer.text
    assert len({answer.text for answer in answered}) == 8
    assert model.stats().answered_by_token == {pages.token(image): 1 for image in images}


async def test_an_image_that_was_encoded_anew_is_answered_by_the_digest_of_its_bytes(model: Model) -> None:
    again = io.BytesIO()
    Image.open(io.BytesIO(pages.page_image(7))).save(again, "jpeg")
    async with client(model.url) as openai_client:
        answer = await show(openai_client, again.getvalue())
    assert pages.token(again.getvalue()) in answer.text
    assert "page-7-" not in answer.text


async def test_an_image_may_be_given_by_its_address(model: Model) -> None:
    image = pages.page_image(3)

    async def three(_: web.Request) -> web.Response:
        return web.Response(body=image)

    app = web.Application()
    app.router.add_get("/3.jpg", three)
    async with health.serve(app, host="127.0.0.1", port=0) as port, client(model.url) as openai_client:
        answer = await show(openai_client, f"http://127.0.0.1:{port}/3.jpg")
        assert pages.token(image) in answer.text
        with pytest.raises(openai.BadRequestError, match="Error while downloading"):
            await show(openai_client, f"http://127.0.0.1:{port}/4.jpg")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/jpeg;base64,@@@", "could not be decoded"),
        ("data:image/jpeg,abc", "is not base64"),
        (inline(b"%PDF-1.4"), "unsupported image"),
    ],
)
async def test_what_is_no_image_is_refused(model: Model, url: str, says: str) -> None:
    async with client(model.url) as openai_client:
        with pytest.raises(openai.BadRequestError, match=says):
            await show(openai_client, url)
    assert model.calls[0].did == "bad_request"


async def test_a_batch_summary_cites_the_pages_of_the_prompt_and_repeats_their_tokens(model: Model) -> None:
    tokens = {number: pages.token(pages.page_image(number)) for number in (26, 27, 29)}
    prompt = "\n".join(markup.page(number, f"It says {token}.") for number, token in tokens.items())
    async with client(model.url) as openai_client:
        answer = await summarise(openai_client, BatchSummary, prompt)
    assert [statement.pages for statement in answer.statements] == [[26], [27], [29]]
    assert [tokens[each.pages[0]] in each.text for each in answer.statements] == [True] * 3
    assert model.calls[0].pages == [26, 27, 29]


async def test_a_document_summary_cites_the_pages_of_the_prompt(model: Model) -> None:
    prompt = markup.page(1, "The first.", to=25) + "\n" + markup.page(26, "The second.", to=30)
    async with client(model.url) as openai_client:
        answer = await summarise(openai_client, DocumentSummary, prompt)
    assert [section.pages for section in answer.sections] == [list(range(1, 26)), list(range(26, 31))]
    assert answer.abstract_pages == [1, 26]


async def test_summaries_cite_pages_that_do_not_exist_on_command(model: Model) -> None:
    model.behave(Behaviour(rules=[Rule(does="wrong_pages")]))
    prompt = markup.page(1, "The first.") + "\n" + markup.page(2, "The second.")
    async with client(model.url) as openai_client:
        batch = await summarise(openai_client, BatchSummary, prompt)
        document = await summarise(openai_client, DocumentSummary, prompt)
    absent = [1 + answers.ABSENT, 2 + answers.ABSENT]
    assert [statement.pages for statement in batch.statements] == [[1, absent[0]], [absent[1]]]
    assert [section.pages for section in document.sections] == [[1, absent[0]], [absent[1]]]


async def test_an_answer_is_as_long_as_it_should_be_and_its_usage_is_counted(model: Model) -> None:
    model.behave(Behaviour(answer_chars=3000, image_tokens=700))
    async with client(model.url) as openai_client:
        completion = await ask(openai_client, PageAnalysis, "Read.", image=inline(pages.page_image(1)))
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 700
    content = completion.choices[0].message.content or ""
    assert len(msgspec.json.decode(content, type=PageAnalysis).text) == pytest.approx(3000, rel=0.1)
    assert completion.usage.completion_tokens == pytest.approx(len(content) / 4, abs=1)
    call = model.calls[0]
    assert (call.tokens_in, call.tokens_out) == (
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
    )


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        (BatchSummary, markup.page(1, "It says abstract_pages.")),
        (DocumentSummary, markup.page(1, "It says statements.")),
    ],
)
async def test_without_a_schema_the_kind_of_answer_is_told_by_the_prompt(
    model: Model, kind: type[msgspec.Struct], prompt: str
) -> None:
    asked = f"Answer as JSON: {msgspec.json.encode(schema.strict(kind)).decode()}\n{prompt}"
    async with client(model.url) as openai_client:
        completion = await ask(openai_client, kind, asked, form="json_object")
    msgspec.json.decode(completion.choices[0].message.content or "", type=kind)
    assert model.calls[0].schema == results.NAMES[kind]
    assert model.calls[0].format == "json_object"


async def test_json_mode_without_the_word_is_refused(model: Model) -> None:
    async with client(model.url) as openai_client:
        with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
            await ask(openai_client, BatchSummary, "Summarise.", form="json_object")


async def test_a_schema_that_is_not_strict_is_refused(model: Model) -> None:
    async with client(model.url) as openai_client:
        with pytest.raises(openai.BadRequestError, match="Invalid schema for response_format 'batch_summary'"):
            await ask(openai_client, BatchSummary, "Summarise.", wanted=msgspec.json.schema(BatchSummary))


async def test_the_log_says_who_called_for_what_and_when(model: Model) -> None:
    model.behave(Behaviour(keep_prompts=True))
    image = pages.page_image(5)
    async with client(model.url) as openai_client:
        await ask(openai_client, PageAnalysis, "Read this.", image=inline(image), temperature=0.3)
        assert [each.id async for each in await openai_client.models.list()] == ["stand-in"]
    (call,) = model.calls
    assert (call.n, call.schema, call.token, call.pages) == (1, "page_analysis", pages.token(image), [5])
    assert (call.status, call.did, call.aborted, call.model) == (200, "answer", False, "eyes")
    assert (call.temperature, call.format, call.prompt) == (0.3, "json_schema", "Read this.")
    assert call.ended is not None
    assert 0 <= call.ended - call.at < 5
    assert call.headers["x-stainless-retry-count"] == "0"
    assert int(call.headers["content-length"]) > len(image)


async def test_calls_in_flight_and_their_peak_are_counted(model: Model) -> None:
    model.behave(Behaviour(rules=[Rule(does="hang", times=3)]))
    async with client(model.url) as openai_client:
        hanging = [asyncio.create_task(show(openai_client, pages.page_image(number))) for number in (1, 2, 3)]
        await eventually(lambda: _in_flight(model), until=lambda count: count == 3)
        await show(openai_client, pages.page_image(4))
        model.forget()
        assert (model.stats().calls, model.stats().in_flight) == (0, 3)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await eventually(lambda: _in_flight(model), until=lambda count: count == 0)
    assert model.stats().peak_in_flight == 3


async def _in_flight(model: Model) -> int:
    return model.stats().in_flight


async def test_it_is_steered_and_asked_over_http_as_in_the_same_process() -> None:
    behaviour = Behaviour(rules=[Rule(does="error", status=503, times=1)])
    async with process.start(behaviour, "--rpm", "60000", "--latency-s", "0.01-0.02") as remote:
        limited = msgspec.structs.replace(behaviour, rpm=60_000, latency_s=(0.01, 0.02))
        assert await remote.behaviour() == limited
        async with client(remote.url) as openai_client:
            with pytest.raises(openai.InternalServerError):
                await show(openai_client, pages.page_image(1))
            await show(openai_client, pages.page_image(1))
            await remote.behave(Behaviour(rules=[Rule(does="refusal")]))
            await ask(openai_client, PageAnalysis, "Read.", image=inline(pages.page_image(1)))
        assert [call.did for call in await remote.calls()] == ["error_503", "answer", "refusal"]
        assert (await remote.stats()).by_schema == {"page_analysis": {"error_503": 1, "answer": 1, "refusal": 1}}
        await remote.forget()
        assert await remote.calls() == []


async def test_a_behaviour_with_a_mistake_is_refused_and_the_old_one_stays(model: Model) -> None:
    model.behave(Behaviour(rpm=7))
    control = model.url.removesuffix("/v1") + "/control"
    async with aiohttp.ClientSession() as session:
        async with session.post(control, data=b'{"rules": [{"does": "dance"}]}') as response:
            assert response.status == 400
            assert "dance" in await response.text()
        async with session.get(control) as response:
            assert msgspec.json.decode(await response.read(), type=Behaviour) == Behaviour(rpm=7)

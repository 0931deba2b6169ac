"""The stand-in model fails on command: errors, silence, broken connections, limits, as real clients meet them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import openai
import pytest

from tests.conftest import eventually
from tests.standin import process
from tests.standin.asking import client, show
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.calls import Call
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


@asynccontextmanager
async def plain_answer(model: Model) -> AsyncIterator[aiohttp.ClientResponse]:
    """What a client without the openai package sees."""
    body = {"model": "eyes", "messages": [{"role": "user", "content": "Summarise."}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{model.url}/chat/completions", json=body) as response,
    ):
        yield response


async def ended(model: Model) -> Call:
    """The first call, when it has ended."""

    async def first() -> Call:
        return model.calls[0]

    return await eventually(first, until=lambda call: call.ended is not None)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (403, openai.PermissionDeniedError, "unsupported_country_region_territory"),
        (404, openai.NotFoundError, "model_not_found"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
        (503, openai.InternalServerError, None),
    ],
)
async def test_an_error_has_the_status_and_the_code_that_openai_sends(
    model: Model, caller: openai.AsyncOpenAI, status: int, error: type[openai.APIStatusError], code: str | None
) -> None:
    model.behave(Behaviour(rules=[Rule(does="error", status=status)]))
    with pytest.raises(error) as raised:
        await read(caller)
    assert raised.value.status_code == status
    assert raised.value.code == code
    assert "retry-after" not in raised.value.response.headers
    assert (model.calls[0].status, model.calls[0].did) == (status, f"error_{status}")


async def test_an_error_may_carry_a_code_retry_after_and_other_headers(
    model: Model, caller: openai.AsyncOpenAI
) -> None:
    headers = {"x-ratelimit-remaining-requests": "0"}
    rule = Rule(does="error", status=429, code="insufficient_quota", retry_after_s=1.5, headers=headers)
    model.behave(Behaviour(rules=[rule]))
    with pytest.raises(openai.RateLimitError) as raised:
        await read(caller)
    assert raised.value.code == "insufficient_quota"
    sent = raised.value.response.headers
    assert (sent["retry-after"], sent["retry-after-ms"]) == ("2", "1500")
    assert sent["x-ratelimit-remaining-requests"] == "0"


async def test_an_answer_takes_its_latency(model: Model, caller: openai.AsyncOpenAI) -> None:
    model.behave(Behaviour(latency_s=0.15))
    begin = time.monotonic()
    await read(caller)
    assert time.monotonic() - begin >= 0.15


@pytest.mark.parametrize("silent", [False, True], ids=["hang", "silent"])
async def test_a_call_that_hangs_lasts_until_the_client_goes_and_is_noted_as_aborted(
    model: Model, caller: openai.AsyncOpenAI, silent: bool
) -> None:
    model.behave(Behaviour(silent=True) if silent else Behaviour(rules=[Rule(does="hang")]))
    with pytest.raises(openai.APITimeoutError):
        await read(caller.with_options(timeout=0.2))
    call = await ended(model)
    assert call.aborted
    assert call.status == 0
    assert call.ended is not None
    assert call.ended - call.at >= 0.15


async def test_a_silent_server_does_not_even_tell_its_models(model: Model, caller: openai.AsyncOpenAI) -> None:
    model.behave(Behaviour(silent=True))
    with pytest.raises(openai.APITimeoutError):
        await caller.with_options(timeout=0.2).models.list()


async def test_a_client_that_leaves_during_the_latency_is_noted_as_aborted(
    model: Model, caller: openai.AsyncOpenAI
) -> None:
    model.behave(Behaviour(latency_s=30))
    task = asyncio.create_task(read(caller))
    await eventually(lambda: _did(model), until=lambda did: did == "answer")
    task.cancel()
    assert (await ended(model)).aborted
    assert model.stats().by_schema == {"page_analysis": {"aborted": 1}}
    assert model.stats().answered_by_token == {}


async def _did(model: Model) -> str:
    return model.calls[0].did if model.calls else ""


async def test_a_reset_connection_is_a_connection_error(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "reset")
    with pytest.raises(openai.APIConnectionError):
        await read(caller)
    call = await ended(model)
    assert (call.status, call.did, call.aborted) == (0, "reset", False)


async def test_an_answer_that_is_cut_off_has_its_headers_and_half_its_body(model: Model) -> None:
    misbehave(model, "cut")
    async with plain_answer(model) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_slow_body_dribbles_after_its_headers(model: Model) -> None:
    model.behave(Behaviour(rules=[Rule(does="dribble", body_s=0.4)]))
    begin = time.monotonic()
    async with plain_answer(model) as response:
        headers_s = time.monotonic() - begin
        body = await response.read()
    assert time.monotonic() - begin >= 0.3
    assert headers_s < 0.3
    assert msgspec.json.decode(body)["object"] == "chat.completion"


async def test_a_client_that_leaves_a_dribbling_body_is_noted_as_aborted(
    model: Model, caller: openai.AsyncOpenAI
) -> None:
    misbehave(model, "dribble")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):  # the client's own is for each read, and something comes all the time
            await read(caller)
    call = await ended(model)
    assert (call.aborted, call.status) == (True, 200)


async def test_requests_a_minute_are_enforced_and_told(model: Model, caller: openai.AsyncOpenAI) -> None:
    model.behave(Behaviour(rpm=600))  # ten at once, then one every 100 ms
    begin = time.monotonic()
    answered, refused = 0, []
    while time.monotonic() - begin < 1:
        try:
            await read(caller)
        except openai.RateLimitError as error:
            refused.append(error)
        else:
            answered += 1
    allowed = 10 + (time.monotonic() - begin) * 10
    assert 0.8 * allowed <= answered <= allowed
    headers = refused[-1].response.headers
    assert headers["x-ratelimit-limit-requests"] == "600"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["retry-after"] == "1"
    assert 0 < int(headers["retry-after-ms"]) <= 100
    assert model.stats().by_schema["page_analysis"] == {"answer": answered, "limit_requests": len(refused)}


async def test_tokens_a_minute_are_enforced_and_told(model: Model, caller: openai.AsyncOpenAI) -> None:
    model.behave(Behaviour(tpm=180_000))  # 3000 a second; a page is some 1250
    await read(caller)
    await read(caller)
    with pytest.raises(openai.RateLimitError) as raised:
        await read(caller)
    headers = raised.value.response.headers
    assert headers["x-ratelimit-limit-tokens"] == "180000"
    assert int(headers["retry-after-ms"]) > 100
    assert model.calls[-1].did == "limit_tokens"


async def test_limits_are_told_with_every_answer(model: Model, caller: openai.AsyncOpenAI) -> None:
    model.behave(Behaviour(rpm=6000, tpm=6_000_000))
    response = await caller.chat.completions.with_raw_response.create(
        model="eyes", messages=[{"role": "user", "content": "Summarise."}]
    )
    assert response.headers["x-ratelimit-limit-requests"] == "6000"
    assert response.headers["x-ratelimit-remaining-requests"] == "99"
    assert response.headers["x-ratelimit-limit-tokens"] == "6000000"
    assert response.headers["x-ratelimit-reset-requests"] == "10ms"


async def test_a_behaviour_can_change_between_calls(model: Model, caller: openai.AsyncOpenAI) -> None:
    misbehave(model, "refusal")
    assert (await read(caller)).choices[0].message.refusal
    model.behave(Behaviour())
    assert await show(caller, IMAGE)


async def test_the_process_ends_on_sigterm_even_with_calls_that_hang() -> None:
    async with process.start(Behaviour(rules=[Rule(does="hang")])) as remote, client(remote.url) as caller:
        hanging = asyncio.create_task(read(caller))
        await eventually(remote.stats, until=lambda stats: stats.in_flight == 1)
        assert await remote.end(signal.SIGTERM) == 0
        with pytest.raises(openai.APIConnectionError):
            await hanging

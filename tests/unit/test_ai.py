"""The door to the model, against a real server that misbehaves on command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared import markup
from shared.ai import model as ai
from shared.ai.answers import Answer
from shared.errors import Gone, Refused, RetryLater, Stop
from shared.limiter import Limits, Permit, Result
from shared.results import BatchSummary
from shared.settings import ModelSettings, SettingsError
from tests.conftest import eventually
from tests.servers import free_port
from tests.standin.behaviour import Behaviour, Does, Rule
from tests.standin.server import Model as StandIn
from tests.standin.server import serve

KEY = "sk-test-0123456789"
PAGE = "The mill was built in 1840."


class Books:
    """A limiter that grants everything and remembers what it was told."""

    def __init__(self, *, counted: bool = True, waits: RetryLater | None = None) -> None:
        self.results: list[Result] = []
        self.granted = 0
        self._counted = counted
        self._waits = waits

    async def acquire(self) -> Permit:
        if self._waits:
            raise self._waits
        self.granted += 1
        return Permit(reserved=0)

    async def settle(self, permit: Permit, result: Result) -> bool:
        self.results.append(result)
        await asyncio.sleep(0)
        return self._counted

    @property
    def kinds(self) -> list[str]:
        return [result.kind for result in self.results]


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
async def model() -> AsyncIterator[StandIn]:
    async with serve(Behaviour(keep_prompts=True)) as standin:
        yield standin


@asynccontextmanager
async def door(url: str, books: Books | None = None, *, timeout_s: float = 10) -> AsyncIterator[ai.Model]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", url)
        async with ai.connect(ModelSettings(llm_timeout_s=timeout_s), books or Books()) as opened:
            yield opened


async def nothing() -> None:
    """Every call may start."""


async def ask(opened: ai.Model, *, model: str = "eyes", clear: ai.Clear = nothing) -> Answer[BatchSummary]:
    messages = [
        {"role": "system", "content": "Summarise."},
        {"role": "user", "content": markup.page(7, PAGE)},
    ]
    return await opened.ask(BatchSummary, model=model, messages=messages, clear=clear)


def doing(*rules: Rule, rpm: int = 0, tpm: int = 0) -> Behaviour:
    return Behaviour(rules=list(rules), rpm=rpm, tpm=tpm, keep_prompts=True)


def once(does: Does) -> Behaviour:
    return doing(Rule(does=does, times=1))


# What a good call is ----------------------------------------------------------------------------------------------


async def test_an_answer_is_decoded_with_its_usage_and_the_limiter_is_told(model: StandIn) -> None:
    model.behave(doing(rpm=600, tpm=60_000))
    books = Books()
    async with door(model.url, books) as opened:
        answer = await ask(opened, model="gpt-6-luna")
    (call,) = model.calls
    assert answer.value.statements[0].pages == [7]
    assert (answer.usage.calls, answer.usage.tokens_in, answer.usage.tokens_out) == (1, call.tokens_in, call.tokens_out)
    assert answer.usage.cost_usd == pytest.approx((call.tokens_in * 0.1 + call.tokens_out * 0.5) / 1e6)
    assert answer.seconds > 0
    assert books.results == [
        Result(kind="ok", tokens=call.tokens_in + call.tokens_out, limits=Limits(rpm=600, tpm=60_000))
    ]


async def test_a_call_asks_for_a_schema_and_is_never_repeated_by_the_library(model: StandIn) -> None:
    async with door(model.url) as opened:
        await ask(opened)
    (call,) = model.calls
    assert (call.schema, call.format, call.temperature) == ("batch_summary", "json_schema", 0.1)
    assert call.headers["x-stainless-retry-count"] == "0"


async def test_the_price_of_an_unknown_model_is_unknown(model: StandIn) -> None:
    async with door(model.url) as opened:
        assert (await ask(opened)).usage.cost_usd is None


async def test_a_server_of_ones_own_needs_no_key(model: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    async with door(model.url) as opened:
        assert (await ask(opened)).value.title


async def test_without_key_and_server_it_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(SettingsError, match=r"^OPENAI_API_KEY: not set"):
        async with ai.connect(ModelSettings(), Books()):
            pass


# When a call may start --------------------------------------------------------------------------------------------


async def test_no_call_leaves_for_a_cancelled_job_and_its_permit_is_settled(model: StandIn) -> None:
    async def gone() -> None:
        raise Gone("cancelled")

    books = Books()
    async with door(model.url, books) as opened:
        with pytest.raises(Gone):
            await ask(opened, clear=gone)
    assert model.calls == []
    assert books.kinds == ["cancelled"]


async def test_no_call_leaves_without_a_permit(model: StandIn) -> None:
    async with door(model.url, Books(waits=RetryLater("used up", after=20, counted=False))) as opened:
        with pytest.raises(RetryLater, match="used up"):
            await ask(opened)
    assert model.calls == []


@pytest.mark.parametrize("does", ["hang", "dribble"])
async def test_cancelling_closes_the_connection_and_settles_the_permit(model: StandIn, does: Does) -> None:
    model.behave(once(does))
    books = Books()

    async def first() -> bool:
        return bool(model.calls and model.calls[0].did)

    async def aborted() -> bool:
        return model.calls[0].aborted

    async with door(model.url, books) as opened:
        task = asyncio.create_task(ask(opened))
        await eventually(first)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(aborted, within_s=1)
        assert books.kinds == ["cancelled"]
        assert (await ask(opened)).value.title  # and the door still works


async def test_a_permit_is_settled_even_where_the_task_is_cancelled_again_and_again(model: StandIn) -> None:
    model.behave(once("hang"))
    books = Books()

    async def arrived() -> bool:
        return bool(model.calls)

    async with door(model.url, books) as opened:
        task = asyncio.create_task(ask(opened))
        await eventually(arrived)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert books.kinds == ["cancelled"]


# Servers that want to be asked differently --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("does", "formats"),
    [
        ("refuse_schema", ["json_schema", "json_object", "json_object"]),
        ("refuse_format", ["json_schema", "json_object", "", ""]),
    ],
)
async def test_a_server_that_refuses_schemas_is_remembered(model: StandIn, does: Does, formats: list[str]) -> None:
    model.behave(doing(Rule(does=does)))
    books = Books()
    async with door(model.url, books) as opened:
        await ask(opened)
        answer = await ask(opened)
    assert answer.value.statements[0].pages == [7]
    assert [call.format for call in model.calls] == formats
    assert "keeps to this JSON schema" in model.calls[-1].prompt
    assert books.kinds == ["refused"] * (len(formats) - 2) + ["ok", "ok"]


async def test_a_model_that_refuses_a_temperature_is_remembered(model: StandIn) -> None:
    model.behave(doing(Rule(does="refuse_temperature")))
    async with door(model.url) as opened:
        await ask(opened)
        await ask(opened)
    assert [call.temperature for call in model.calls] == [0.1, None, None]


async def test_calls_in_flight_together_learn_together(model: StandIn) -> None:
    model.behave(doing(Rule(does="refuse_schema", latency_s=0.05)))
    async with door(model.url) as opened:
        answers = await asyncio.gather(*(ask(opened) for _ in range(5)))
    assert all(answer.value.title for answer in answers)
    assert {call.format for call in model.calls} == {"json_schema", "json_object"}


# Failures, sorted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "error", "kind"),
    [
        (Rule(does="error", status=400), Refused, "refused"),
        (Rule(does="error", status=413), Refused, "refused"),
        (Rule(does="error", status=422), Refused, "refused"),
        (Rule(does="error", status=401), Stop, "stop"),
        (Rule(does="error", status=403), Stop, "stop"),
        (Rule(does="error", status=404), Stop, "stop"),
        (Rule(does="error", status=429, code="insufficient_quota"), Stop, "stop"),
        (Rule(does="error", status=429), RetryLater, "busy"),
        (Rule(does="error", status=500), RetryLater, "down"),
        (Rule(does="error", status=503), RetryLater, "down"),
        (Rule(does="reset"), RetryLater, "down"),
        (Rule(does="cut"), RetryLater, "down"),
        (Rule(does="html"), RetryLater, "unreadable"),
        (Rule(does="not_json"), RetryLater, "unreadable"),
        (Rule(does="content_not_json"), RetryLater, "unreadable"),
        (Rule(does="wrong_shape"), RetryLater, "unreadable"),
        (Rule(does="no_content"), RetryLater, "unreadable"),
        (Rule(does="empty_choices"), RetryLater, "unreadable"),
        (Rule(does="content_filter"), Refused, "refused"),
        (Rule(does="refusal"), Refused, "refused"),
    ],
    ids=lambda value: f"{value.does}_{value.status}" if isinstance(value, Rule) else None,
)
async def test_a_failure_is_sorted_and_told_without_key_and_content(
    model: StandIn, rule: Rule, error: type[Exception], kind: str
) -> None:
    model.behave(doing(rule))
    books = Books()
    async with door(model.url, books) as opened:
        with pytest.raises(error) as caught:
            await ask(opened)
    assert type(caught.value) is error
    assert books.kinds == [kind]
    assert str(caught.value).startswith("The model")
    assert len(str(caught.value)) < 500
    assert KEY not in str(caught.value)
    assert PAGE not in str(caught.value)
    assert len(model.calls) == 1


async def test_a_429_says_how_long_to_wait_and_counts_no_attempt(model: StandIn) -> None:
    model.behave(doing(Rule(does="error", status=429, retry_after_s=7)))
    books = Books()
    async with door(model.url, books) as opened:
        with pytest.raises(RetryLater) as caught:
            await ask(opened)
    assert (caught.value.after, caught.value.counted) == (7, False)
    assert books.results[0].retry_after_s == 7


@pytest.mark.parametrize("counted", [True, False])
async def test_an_outage_counts_only_where_the_limiter_says_so(model: StandIn, counted: bool) -> None:
    model.behave(doing(Rule(does="error", status=503, retry_after_s=3)))
    async with door(model.url, Books(counted=counted)) as opened:
        with pytest.raises(RetryLater, match="answered 503") as caught:
            await ask(opened)
    assert (caught.value.after, caught.value.counted) == (3, counted)


@pytest.mark.parametrize("does", ["hang", "dribble"])
async def test_a_call_takes_at_most_the_timeout_to_its_last_byte(model: StandIn, does: Does) -> None:
    model.behave(doing(Rule(does=does)))
    books = Books()

    async def aborted() -> bool:
        return model.calls[0].aborted

    async with door(model.url, books, timeout_s=0.2) as opened:
        with pytest.raises(RetryLater, match=r"no answer within 0\.2 s"):
            await ask(opened)
        await eventually(aborted, within_s=1)
    assert books.kinds == ["down"]


async def test_a_server_that_is_not_there_is_down() -> None:
    books = Books()
    async with door(f"http://127.0.0.1:{free_port()}/v1", books) as opened:
        with pytest.raises(RetryLater, match="gave no answer: ConnectionRefusedError"):
            await ask(opened)
    assert books.kinds == ["down"]


async def test_an_unreadable_answer_counts_against_the_page_even_in_an_outage(model: StandIn) -> None:
    model.behave(doing(Rule(does="content_not_json")))
    async with door(model.url, Books(counted=False)) as opened:
        with pytest.raises(RetryLater) as caught:
            await ask(opened)
    assert caught.value.counted


@pytest.mark.parametrize("does", ["truncated", "repeats"])
async def test_a_cut_or_repeating_answer_is_asked_for_once_more_and_warmer(model: StandIn, does: Does) -> None:
    model.behave(once(does))
    books = Books()
    async with door(model.url, books) as opened:
        answer = await ask(opened)
    assert answer.usage.calls == 2
    assert answer.usage.tokens_in == sum(call.tokens_in for call in model.calls)
    assert [call.temperature for call in model.calls] == [0.1, 0.8]
    assert books.kinds == ["unreadable", "ok"]


@pytest.mark.parametrize("does", ["truncated", "repeats"])
async def test_after_two_cut_or_repeating_answers_the_page_is_refused(model: StandIn, does: Does) -> None:
    model.behave(doing(Rule(does=does)))
    async with door(model.url) as opened:
        with pytest.raises(Refused, match="asked twice"):
            await ask(opened)
    assert len(model.calls) == 2


async def test_no_log_line_shows_the_key_or_the_page(model: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    model.behave(doing(Rule(does="refuse_schema"), Rule(does="error", status=401)))
    async with door(model.url) as opened:
        with pytest.raises(Stop):
            await ask(opened)
    ours = [record.getMessage() for record in caplog.records]
    assert ours
    assert not [line for line in ours if KEY in line or PAGE in line]

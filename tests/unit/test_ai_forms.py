"""How a model is asked, and what its refusals teach."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.ai import forms
from shared.ai.answers import Reply
from shared.ai.failures import CallFailed
from shared.ai.forms import Form
from shared.results import BatchSummary

MESSAGES = [{"role": "system", "content": "Summarise."}, {"role": "user", "content": "It rains."}]


def asked(form: Form, temperature: float | None = None) -> dict[str, Any]:
    body = forms.request(BatchSummary, model="m", messages=MESSAGES, form=form, temperature=temperature)
    decoded: dict[str, Any] = msgspec.json.decode(body)
    return decoded


def test_a_schema_is_strict_and_carries_the_name_of_what_is_asked_for() -> None:
    body = asked("schema", 0.1)
    assert body["messages"] == MESSAGES
    assert body["temperature"] == 0.1
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["name"] == "batch_summary"
    assert body["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(("form", "response_format"), [("object", {"type": "json_object"}), ("plain", None)])
def test_without_a_schema_the_prompt_tells_it(form: Form, response_format: object) -> None:
    body = asked(form)
    assert body.get("response_format") == response_format
    assert "temperature" not in body
    system, user = body["messages"]
    assert system["content"].startswith("Summarise.\n\nAnswer with nothing but one JSON object, a batch_summary,")
    assert '"additionalProperties":false' in system["content"]
    assert user == MESSAGES[1]


@pytest.mark.parametrize(
    ("status", "param", "words", "form", "temperature"),
    [
        (400, "response_format", "Invalid parameter", "object", True),
        (400, "", "This model does not support json_schema", "object", True),
        (422, "", "Extra inputs are not permitted: response_format", "object", True),
        (404, "", "No endpoints found that support structured outputs", "object", True),
        (500, "", "failed to parse grammar", "object", True),
        (400, "temperature", "Unsupported value", "schema", False),
        (400, "", "Unsupported parameter: 'temperature' is not supported with this model.", "schema", False),
        (400, "", "Invalid image", "schema", True),
        (429, "", "response_format", "schema", True),
        (503, "", "json_schema", "schema", True),
    ],
)
def test_a_refusal_teaches_how_to_ask(status: int, param: str, words: str, form: Form, temperature: bool) -> None:
    known = forms.manners("some-model")
    failure = CallFailed(words, kind="refused", status=status, param=param)
    assert known.learn("schema", warm=True, failure=failure) is (form != "schema" or not temperature)
    assert (known.form, known.temperature) == (form, temperature)


def test_calls_that_are_refused_together_teach_one_lesson() -> None:
    known = forms.manners("some-model")
    failure = CallFailed("no json_schema", kind="refused", status=400)
    assert known.learn("schema", warm=True, failure=failure)
    assert known.learn("schema", warm=True, failure=failure)
    assert known.form == "object"
    assert known.learn("object", warm=True, failure=failure)
    assert known.form == "plain"
    assert not known.learn("plain", warm=True, failure=failure)


@pytest.mark.parametrize(
    ("model", "takes_temperature"),
    [
        ("gpt-6-luna", False),
        ("gpt-6.1-terra", False),
        ("gpt-5", False),
        ("openai/gpt-5.4-mini", False),
        ("o3", False),
        ("gpt-4.1-mini", True),
        ("gpt-4o", True),
        ("qwen3-vl", True),
        ("olmo2", True),
    ],
)
def test_models_that_reason_are_not_sent_a_temperature(model: str, takes_temperature: bool) -> None:
    assert forms.manners(model).temperature is takes_temperature


def test_a_schema_that_is_taken_and_never_kept_to_is_given_up_after_three_answers() -> None:
    known = forms.manners("some-model")
    for expected in ("schema", "schema", "object"):
        known.note("schema", Reply(flaw="unreadable"))
        assert known.form == expected


def test_a_schema_that_was_once_kept_to_is_never_given_up_for_garbage() -> None:
    known = forms.manners("some-model")
    known.note("schema", Reply(value=BatchSummary(title="", statements=[])))
    for _ in range(9):
        known.note("schema", Reply(flaw="unreadable"))
    assert known.form == "schema"

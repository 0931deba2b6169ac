"""The stand-in's pure parts: which rule takes which call, what the limits let through, which schemas are strict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared import results
from shared.ai import schema
from tests.standin import limits, schemas
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.calls import Call
from tests.standin.choice import Choice
from tests.standin.limits import Limits


def page_call(number: int, *, model_format: str = "json_schema") -> Call:
    return Call(n=1, at=0, schema="page_analysis", token=f"page-{number}-aa", pages=[number], format=model_format)


BATCH_CALL = Call(n=1, at=0, schema="batch_summary", pages=[1, 2, 3])

TEN_PAGES = [page_call(number) for number in range(1, 11)]


@pytest.mark.parametrize(
    ("rule", "calls", "taken"),
    [
        (Rule(does="hang"), TEN_PAGES, list(range(1, 11))),
        (Rule(does="hang", token="page-1-"), TEN_PAGES, [1]),
        (Rule(does="hang", page=4), TEN_PAGES, [4]),
        (Rule(does="hang", every=3), TEN_PAGES, [3, 6, 9]),
        (Rule(does="hang", times=2), TEN_PAGES, [1, 2]),
        (Rule(does="hang", every=4, times=1), TEN_PAGES, [4]),
        (Rule(does="hang", times_each=1), [*TEN_PAGES[:2], *TEN_PAGES[:2]], [1, 2]),
        (Rule(does="hang", schema="batch_summary"), TEN_PAGES, []),
        (Rule(does="refuse_schema"), [page_call(1), page_call(2, model_format="json_object")], [1]),
        (Rule(does="refuse_format"), [page_call(1, model_format="json_object"), page_call(2, model_format="")], [1]),
        (Rule(does="refuse_temperature"), [page_call(1)], []),
    ],
)
def test_a_rule_takes_the_calls_that_meet_all_its_conditions(rule: Rule, calls: list[Call], taken: list[int]) -> None:
    choice = Choice(Behaviour(rules=[rule]))
    assert [call.pages[0] for call in calls if choice.rule(call) is rule] == taken


def test_a_rule_for_a_page_takes_the_summary_that_names_it() -> None:
    rule = Rule(does="hang", page=2, schema="batch_summary")
    assert Choice(Behaviour(rules=[rule])).rule(BATCH_CALL) is rule


def test_the_first_rule_that_takes_a_call_decides() -> None:
    first, second = Rule(does="hang", every=2), Rule(does="reset")
    choice = Choice(Behaviour(rules=[first, second]))
    assert [choice.rule(call) for call in TEN_PAGES[:4]] == [second, first, second, first]


def test_a_probability_takes_its_share_and_the_same_seed_takes_the_same() -> None:
    def taken(seed: int) -> list[bool]:
        choice = Choice(Behaviour(rules=[Rule(does="hang", probability=0.3)], seed=seed))
        return [choice.rule(call).does == "hang" for call in TEN_PAGES * 100]

    assert 250 < sum(taken(1)) < 350
    assert taken(1) == taken(1)
    assert taken(1) != taken(2)


def test_latency_is_the_rules_or_else_the_behaviours() -> None:
    choice = Choice(Behaviour(latency_s=(1, 2)))
    drawn = [choice.latency_s(Rule()) for _ in range(100)]
    assert all(1 <= latency_s <= 2 for latency_s in drawn)
    assert len(set(drawn)) > 90
    assert choice.latency_s(Rule(latency_s=0.5)) == 0.5


def test_the_bucket_of_requests_refills_continuously() -> None:
    bucket = Limits(Behaviour(rpm=600), now=0)
    assert [bucket.take(1, now=0)[0] for _ in range(11)] == [""] * 10 + ["requests"]
    exhausted, wait_s = bucket.take(1, now=0.05)
    assert exhausted == "requests"
    assert wait_s == pytest.approx(0.05)
    assert bucket.take(1, now=0.1) == ("", 0)
    assert bucket.take(1, now=0.1)[0] == "requests"
    assert bucket.headers() == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
    }


def test_a_call_of_more_tokens_than_the_bucket_holds_passes_when_it_is_full_and_is_paid_for_afterwards() -> None:
    bucket = Limits(Behaviour(tpm=6000), now=0)  # 100 a second
    assert bucket.take(250, now=0) == ("", 0)
    exhausted, wait_s = bucket.take(50, now=0)
    assert exhausted == "tokens"
    assert wait_s == pytest.approx(2)
    assert bucket.take(50, now=2) == ("", 0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0ms"), (0.0591, "60ms"), (1.5, "1.5s"), (20, "20s"), (360, "6m0s")])
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert limits.duration(seconds) == text


@pytest.mark.parametrize("kind", results.NAMES, ids=lambda kind: kind.__name__)
def test_the_schemas_of_the_project_are_strict(kind: type[msgspec.Struct]) -> None:
    assert schemas.complaint("x", schema.strict(kind)) == ""


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": CLOSED}}, "got 'type: \"None\"'"),
        (CLOSED | {"additionalProperties": True}, "'additionalProperties' is required"),
        (CLOSED | {"required": []}, "Missing 'a'"),
        (CLOSED | {"properties": {"a": {}}}, "must have a 'type' key"),
        (CLOSED | {"properties": {"a": {"type": "string", "default": ""}}}, "'default' is not permitted"),
        (CLOSED | {"properties": {"a": {"type": "array"}}}, "array schema missing items"),
        (CLOSED | {"properties": {"a": {"anyOf": [{"type": "null"}, {"type": "array"}]}}}, "missing items"),
        (CLOSED | {"properties": {"a": {"$ref": "#/$defs/A", "description": "x"}}}, "$ref cannot have keywords"),
        (CLOSED | {"$defs": {"A": {"type": "object"}}}, "'additionalProperties' is required"),
    ],
)
def test_a_schema_that_openai_would_refuse_is_told_apart(wrong: dict[str, Any], says: str) -> None:
    assert schemas.complaint("x", CLOSED) == ""
    assert says in schemas.complaint("x", wrong)

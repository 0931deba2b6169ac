"""Options of a submission: what they may hold, and which fingerprint they give it."""

from __future__ import annotations

import pytest

from services.gateway import options
from services.gateway.options import Options
from services.gateway.problems import Problem
from shared.selection import Selection


def test_nothing_asked_for_means_all_pages_spoken() -> None:
    assert options.read({}) == Options()
    assert options.read({"pages": "", "batch_size": "", "narrate": ""}) == Options()
    assert (Options().selection.spans, Options().batch_size, Options().narrate) == ((), None, True)


def test_every_option_is_read() -> None:
    fields = {"job_id": "j", "user_id": "u", "pages": "80, 1-50", "batch_size": "10", "narrate": "FALSE"}
    assert options.read(fields) == Options(
        job_id="j", user_id="u", selection=Selection.parse("1-50,80"), batch_size=10, narrate=False
    )


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("pages", "5-2", "pages: '5-2' names no pages"),
        ("pages", "0", "pages: '0' names no pages"),
        ("pages", "1-5,many", "pages: 'many' names no pages"),
        ("batch_size", "0", "batch_size is '0': send a whole number from 1 to 100"),
        ("batch_size", "101", "from 1 to 100"),
        ("batch_size", "ten", "batch_size is 'ten'"),
        ("batch_size", "²", "batch_size is '²'"),
        ("narrate", "perhaps", "narrate is 'perhaps': send true or false"),
    ],
)
def test_what_an_option_cannot_hold_is_named(field: str, value: str, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence) as refused:
        options.read({field: value})
    assert refused.value.slug == "invalid-field"


def test_an_unknown_option_is_named_with_those_that_are_known() -> None:
    with pytest.raises(Problem, match=r"'page' is not known here: the options are job_id, .*, narrate") as refused:
        options.check_name("page")
    assert refused.value.slug == "unknown-option"


def test_other_pages_other_batches_or_no_narration_make_another_fingerprint() -> None:
    asked = [
        {},
        {"pages": "1-5"},
        {"pages": "1-6"},
        {"batch_size": "5"},
        {"narrate": "0"},
        {"pages": "1", "narrate": "0"},
    ]
    found = [options.read(fields).fingerprint("content") for fields in asked]
    assert len(set(found)) == len(asked)
    assert found[0] == "content"


def test_the_same_wish_in_other_words_has_the_same_fingerprint() -> None:
    first, second = ({"pages": "1-3,7", "user_id": "a"}, {"pages": "7, 1-2, 3", "narrate": "true", "user_id": "b"})
    assert options.read(first).fingerprint("content") == options.read(second).fingerprint("content")


def test_who_sends_page_images_may_ask_for_batches_and_for_silence() -> None:
    asked = options.of_images({"batch_size": "10", "narrate": "false"})
    assert (asked.batch_size, asked.narrate) == (10, False)


@pytest.mark.parametrize("name", ["pages", "job_id", "colour"])
def test_other_options_of_page_images_are_refused(name: str) -> None:
    with pytest.raises(Problem, match="batch_size, narrate"):
        options.of_images({name: "1"})

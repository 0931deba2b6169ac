"""What the built-in model answers to which request."""

from __future__ import annotations

import msgspec
import pytest

from services.local_model import answering, wire
from services.local_model.answering import ABOUT, FINGERPRINT, MODEL
from services.local_model.wire import ChatRequest, Refusal
from shared import markup
from shared.results import NAMES, BatchSummary, DocumentSummary, PageAnalysis

PROSE = (
    "A tide is the regular rise and fall of the water in the harbour. Spring tides are high because the moon and the "
    "sun pull the water together. Neap tides are low because the moon and the sun pull the water apart. The harbour is "
    "deep enough for large ships at every tide. Pilots are trained for every tide by the office of the harbour."
)


def asked(content: object, **fields: object) -> ChatRequest:
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}
    return msgspec.json.decode(msgspec.json.encode(body), type=ChatRequest)


def schema(name: str) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": {"type": "object"}}}


@pytest.mark.parametrize("struct", [PageAnalysis, BatchSummary, DocumentSummary])
def test_each_schema_of_the_fleet_is_filled(struct: type[msgspec.Struct]) -> None:
    request = asked(f"Read it.\n{markup.page(7, PROSE)}", response_format=schema(NAMES[struct]))
    answer = answering.answer(request, answering.form_of(request))
    assert msgspec.json.decode(answer, type=struct, strict=True)


def test_a_page_is_read_from_its_section_and_the_instructions_around_it_are_not() -> None:
    parts = [
        {"type": "text", "text": f"Read page 7. Its text layer:\n{markup.page(7, PROSE)}"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,////", "detail": "high"}},
    ]
    request = asked(parts, response_format=schema("page_analysis"))
    page = msgspec.json.decode(answering.answer(request, "page_analysis"), type=PageAnalysis)
    assert page.text == PROSE


def test_a_page_without_a_section_has_no_text_whatever_the_prompt_says() -> None:
    request = asked(
        "Read page 7. It is about tides, and they are very high here.", response_format=schema("page_analysis")
    )
    page = msgspec.json.decode(answering.answer(request, "page_analysis"), type=PageAnalysis)
    assert (page.text, page.confidence, page.kind) == ("", 0.0, "other")


def test_another_schema_is_refused_with_the_names_of_those_that_are_known() -> None:
    with pytest.raises(
        Refusal, match="page_analysis, batch_summary, document_summary; the one asked for is named 'poem'"
    ) as told:
        answering.form_of(asked("A poem, please.", response_format=schema("poem")))
    assert (told.value.status, told.value.error.code) == (400, "unsupported_schema")


def test_an_unknown_kind_of_format_is_refused() -> None:
    with pytest.raises(Refusal, match="not 'xml'"):
        answering.form_of(asked("Hello", response_format={"type": "xml"}))


def test_a_plain_question_is_told_what_this_is() -> None:
    assert answering.answer(asked("What is the capital of France?"), "text") == ABOUT
    assert "not a language model" in ABOUT


def test_a_plain_text_is_summarised_in_its_own_sentences() -> None:
    answer = answering.answer(asked(PROSE), "text")
    assert answer
    assert all(sentence in PROSE for sentence in answer.split(". "))


def test_plain_pages_are_summarised_with_their_numbers() -> None:
    answer = answering.answer(asked(markup.page(7, PROSE)), "text")
    assert "[page 7]" in answer


def test_a_json_object_holds_the_plain_answer() -> None:
    request = asked("Who are you?", response_format={"type": "json_object"})
    assert msgspec.json.decode(answering.answer(request, answering.form_of(request))) == {"text": ABOUT}


def test_tokens_are_estimated_from_characters_and_a_fixed_number_for_each_image() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    request = asked([{"type": "text", "text": "x" * 41}, image, image])
    assert request.tokens == 11 + 2 * wire.IMAGE_TOKENS


def test_the_name_says_that_it_extracts() -> None:
    assert FINGERPRINT.startswith(MODEL)
    assert "extractive" in FINGERPRINT

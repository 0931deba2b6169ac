"""Sorting what servers refuse, and what may be shown of their words."""

from __future__ import annotations

import pytest

from shared.ai import failures, wording


@pytest.mark.parametrize(
    ("status", "code", "param", "words", "kind"),
    [
        (429, "rate_limit_exceeded", "", "Rate limit reached for gpt-6-luna", "busy"),
        (429, "insufficient_quota", "", "You exceeded your current quota", "stop"),
        (500, "", "", "", "down"),
        (503, "", "", "overloaded", "down"),
        (529, "", "", "", "down"),
        (408, "", "", "", "down"),
        (409, "", "", "", "down"),
        (401, "invalid_api_key", "", "Incorrect API key provided", "stop"),
        (402, "", "", "Insufficient Balance", "stop"),
        (403, "", "", "Country not supported", "stop"),
        (403, "", "", "Your input was flagged by moderation", "refused"),
        (404, "model_not_found", "", "The model `x` does not exist or you do not have access to it.", "stop"),
        (404, "", "", "404 page not found", "stop"),
        (400, "", "model", "invalid model ID", "stop"),
        (400, "", "", "Invalid model name passed in model=x", "stop"),
        (400, "", "", "API key not valid. Please pass a valid API key.", "stop"),
        (400, "", "", "Your credit balance is too low", "stop"),
        (400, "content_filter", "", "The response was filtered", "refused"),
        (400, "context_length_exceeded", "messages", "This model's maximum context length is 8192 tokens", "refused"),
        (400, "invalid_image_format", "", "You uploaded an unsupported image.", "refused"),
        (413, "", "", "Request Entity Too Large", "refused"),
        (422, "", "", "Input should be a valid string", "refused"),
    ],
)
def test_an_error_answer_is_sorted_by_what_happens_next(
    status: int, code: str, param: str, words: str, kind: str
) -> None:
    assert failures.judge(status, code=code, kind="", param=param, words=words) == kind


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"message": "no", "type": "x"}, "no"),
        ({"error": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"detail": [{"loc": ["body"], "msg": "bad", "input": "the page"}, {"msg": "worse"}]}, "bad; worse"),
        ("no", "no"),
        (None, ""),
        ({"x": 1}, ""),
    ],
)
def test_the_message_is_found_in_the_forms_that_servers_use(body: object, said: str) -> None:
    assert wording.said(body) == said


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key provided: sk-proj-abc***xyz.", "Incorrect API key provided: [key]"),
        ("Received API Key = hunter2hunter2 here", "Received API Key = [key] here"),
        ("bad: data:image/jpeg;base64,/9j/4AAQ==", "bad: [image]"),
        ("[{'type': 'x', 'msg': 'bad', 'input': 'The secret page text'}]", "[{'type': 'x', 'msg': 'bad',"),
        ("1 validation error [type=x, input_value='The secret', input_type=str]", "1 validation error [type=x,"),
        ("Invalid input: the image is too large", "Invalid input: the image is too large"),
        ("<html><head><title>502 Bad Gateway</title></head>\n\n<body>", "502 Bad Gateway"),
    ],
)
def test_no_key_no_image_and_no_page_content_is_shown(text: str, clean: str) -> None:
    assert wording.clean(text, secret="hunter2hunter2") == clean


def test_a_long_message_is_cut_to_300_characters() -> None:
    assert len(wording.clean("no " * 1000)) == 300

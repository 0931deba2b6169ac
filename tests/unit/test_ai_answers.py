"""Reading what a model answered."""

from __future__ import annotations

import msgspec
import pytest

from shared.ai import answers
from shared.results import BatchSummary, Cited

MADE = BatchSummary(title="Rain", statements=[Cited(text="It rains.", pages=[3])])
JSON = msgspec.json.encode(MADE).decode()
LOOP = "and the sum of the parts is the whole, "
WORDS = " ".join(f"word{number} and {number * 7919 % 1000}" for number in range(2000))


def completion(content: str | None, **choice: object) -> bytes:
    message = {"role": "assistant", "content": content, "refusal": choice.pop("refusal", None)}
    return msgspec.json.encode(
        {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    )


@pytest.mark.parametrize(
    "content",
    [
        JSON,
        f"```json\n{JSON}\n```",
        f"Here you are:\n\n```\n{JSON}\n```\nAnything else?",
        f"<think>Is {{this}} a brace?</think>\n{JSON}",
        JSON.replace("[3]", '["3"]'),
    ],
)
def test_an_answer_is_read_also_from_between_fences_prose_and_thoughts(content: str) -> None:
    reply = answers.read(completion(content), BatchSummary, source="")
    assert reply.value == MADE
    assert (reply.flaw, reply.tokens_in, reply.tokens_out) == ("", 11, 7)


@pytest.mark.parametrize(
    ("body", "flaw", "says"),
    [
        (completion(JSON, finish_reason="length"), "cut", "cut off"),
        (completion(JSON, finish_reason="content_filter"), "refused", "content filter"),
        (completion(None, refusal="I can't help with that."), "refused", "I can't help with that."),
        (completion(None), "unreadable", "empty"),
        (completion("It rains."), "unreadable", "does not keep to the schema"),
        (completion('{"title": "Rain"}'), "unreadable", "missing required field `statements`"),
        (completion(f'{{"title": "{LOOP * 80}", "statements": []}}'), "repeats", "repeats itself"),
        (b'{"choices": []}', "unreadable", "without choices"),
        (b'{"error": {"message": "Provider returned error", "code": 502}}', "unreadable", "Provider returned error"),
        (b"<html>502</html>", "unreadable", "no chat completion"),
        (b'"\xff\xfe"', "unreadable", "no chat completion"),
        (b"", "unreadable", "no chat completion"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told_in_a_sentence(body: bytes, flaw: str, says: str) -> None:
    reply = answers.read(body, BatchSummary, source="")
    assert (reply.value, reply.flaw) == (None, flaw)
    assert says in reply.why


@pytest.mark.parametrize(
    ("text", "source", "repeats"),
    [
        (WORDS, "", False),
        (WORDS + LOOP * 60, "", True),
        (WORDS + LOOP * 60 + WORDS, "", True),
        (WORDS + "the " * 600, "", True),
        (WORDS + LOOP * 12, "", False),  # a refrain
        (WORDS + "." * 5000, "", False),  # leaders
        (WORDS + "| --- | 0 | " * 500, "", False),  # an empty table
        (r"It rains.\n" * 300, "It rains.\n" * 300, False),  # the page itself repeats
        (r"It rains.\n" * 300, "It rains.\nIt pours.\n" * 2, True),
    ],
)
def test_a_loop_is_told_from_a_refrain_a_rule_and_a_page_that_repeats_itself(
    text: str, source: str, repeats: bool
) -> None:
    assert answers.repeats_itself(text, source) is repeats


def test_the_source_is_all_text_of_the_chat_and_no_image() -> None:
    messages = [
        {"role": "system", "content": "Read."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "This page."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
    ]
    assert answers.spoken(messages) == "Read.\nThis page."

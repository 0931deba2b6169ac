"""Reads what a model answered. Pure: the bytes of a chat completion in, its value or what is wrong with it out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from shared.ai import wording
from shared.outcomes import Usage

T = TypeVar("T", bound=msgspec.Struct)

Flaw = Literal["", "unreadable", "cut", "repeats", "refused"]

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_ANCHOR, _STRIDE, _LONGEST_UNIT = 48, 400, 400  # characters
_RUN_CHARS, _RUN_TIMES, _UNIT_LETTERS = 1500, 20, 3
"""A run so long, of so many repeats, is a model in a loop. Rules, leaders and empty cells have no letters."""


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A model's answer to one question, which may have taken two calls."""

    value: T
    usage: Usage
    seconds: float
    """From the question to the answer, waiting for the limit included."""


class Reply(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What one call brought: a value, or a flaw and a sentence about it. Tokens as the server counts them."""

    value: T | None = None
    flaw: Flaw = ""
    why: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    """The parts of a chat completion that matter here. Some servers answer 200 with nothing but an error."""

    choices: list[_Choice] | None = None
    usage: _Tokens | None = None
    error: object = None


def read(body: bytes, answer: type[T], *, source: str) -> Reply[T]:
    """`source`: the text that was sent; what repeats itself there may repeat itself in the answer."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Reply(
            flaw="unreadable",
            why=f"The model's server sent {len(body)} bytes that are no chat completion: {error}",
        )
    used = completion.usage or _Tokens()
    value, flaw, why = _judge(completion, answer, source)
    return Reply(
        value=value,
        flaw=flaw,
        why=why,
        tokens_in=used.prompt_tokens or 0,
        tokens_out=used.completion_tokens or 0,
    )


def _judge(completion: _Completion, answer: type[T], source: str) -> tuple[T | None, Flaw, str]:
    if not completion.choices:
        told = wording.clean(wording.said({"error": completion.error}))
        return (
            None,
            "unreadable",
            f"The model's server sent a completion without choices: {told or 'it did not say why'}",
        )
    choice = completion.choices[0]
    content = choice.message.content or ""
    if choice.message.refusal:
        return None, "refused", f"The model refused to answer: {wording.clean(choice.message.refusal)}"
    if choice.finish_reason == "content_filter":
        return None, "refused", "The model's content filter stopped the answer"
    if choice.finish_reason == "length":
        return None, "cut", f"The model's answer was cut off at its longest, after {len(content)} characters"
    if not content.strip():
        return None, "unreadable", f"The model's answer is empty (finish_reason {choice.finish_reason!r})"
    if repeats_itself(content, source):
        return None, "repeats", f"The model's answer of {len(content)} characters repeats itself"
    try:
        return decode(content, answer), "", ""
    except msgspec.DecodeError as error:
        return None, "unreadable", f"The model's answer does not keep to the schema: {error}"


def decode(content: str, answer: type[T]) -> T:
    """The value; also from between ```json fences, prose or after <think>, for servers that know no schemas.

    Raises msgspec.DecodeError.
    """
    try:
        return msgspec.json.decode(content, type=answer)
    except msgspec.DecodeError:
        text = _THOUGHT.sub("", content)
        first, last = text.find("{"), text.rfind("}")
        if first < 0:
            raise
        return msgspec.json.decode(text[first : last + 1], type=answer, strict=False)


def repeats_itself(text: str, source: str) -> bool:
    """True where a unit of up to 400 characters stands again and again, though it does not in the source."""
    for at in range(0, len(text) - _RUN_CHARS, _STRIDE):
        again = text.find(text[at : at + _ANCHOR], at + 1, at + _LONGEST_UNIT + _ANCHOR)
        if again < 0:
            continue
        unit = text[at:again]
        times = max(_RUN_TIMES, -(-_RUN_CHARS // len(unit)))
        if sum(map(str.isalpha, unit)) < _UNIT_LETTERS or not text.startswith(unit * times, at):
            continue
        if _letters(unit) * 3 not in _letters(source):
            return True
    return False


def _letters(text: str) -> str:
    """Letters and digits alone: the answer has JSON's escapes and Markdown's marks, the source has neither."""
    return "".join(filter(str.isalnum, re.sub(r"\\[nrt]", " ", text)))


def spoken(messages: Sequence[object]) -> str:
    """All text in chat messages, without the images."""
    return "\n".join(_texts(messages))


def _texts(part: object) -> list[str]:
    match part:
        case {"type": "text", "text": str(text)}:
            return [text]
        case {"content": str(text)}:
            return [text]
        case {"content": [*parts]} | [*parts]:
            return [text for each in parts for text in _texts(each)]
        case _:
            return []

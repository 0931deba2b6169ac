"""How a model is asked for structured output, and what its refusals teach about how it wants to be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from shared import results
from shared.ai import schema
from shared.ai.answers import Reply
from shared.ai.failures import CallFailed

Message = Mapping[str, object]
"""A chat message as the API has it: {"role": "user", "content": "…" or a list of parts}."""

Form = Literal["schema", "object", "plain"]
"""Asked for by a JSON schema; as any JSON object, the schema in the prompt; by the prompt alone."""

_POORER: dict[Form, Form] = {"schema": "object", "object": "plain"}
_ABOUT_FORM = re.compile(
    r"response.?format|json.?(?:schema|object|mode)|\bschema|structured output|guided|grammar", re.IGNORECASE
)
_ABOUT_TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)
_TEACHES = frozenset({400, 404, 415, 422, 500, 501})
_FIXED_TEMPERATURE = re.compile(r"(?:^|/)(?:gpt-[5-9]|o[1-9])(?![a-z])")
"""Models that reason refuse a temperature (OpenAI's guide to GPT-6); others tell when they are asked."""
_UNKEPT = 3
"""So many first answers that keep to no schema: the server took it and ignores it."""


class Manners(msgspec.Struct):
    """How one model of one server wants to be asked, as far as it is known."""

    form: Form = "schema"
    temperature: bool = True
    unkept: int = 0
    """Answers that did not keep to the schema; -1 once one did."""

    def learn(self, form: Form, warm: bool, failure: CallFailed) -> bool:
        """True where the refusal is about how we asked: in `form`, with a temperature if `warm`. Then ask again."""
        if failure.status not in _TEACHES:
            return False
        words = f"{failure.param} {failure}"
        if warm and _ABOUT_TEMPERATURE.search(words):
            self.temperature = False
            return True
        if form != "plain" and _ABOUT_FORM.search(words):
            self._step_down(form)
            return True
        return False

    def note(self, form: Form, reply: Reply[Any]) -> None:
        """What came back where `form` was asked for."""
        if form != "schema" or self.unkept < 0:
            return
        if reply.value is not None:
            self.unkept = -1
        elif reply.flaw == "unreadable":
            self.unkept += 1
            if self.unkept == _UNKEPT:
                self._step_down(form)

    def _step_down(self, form: Form) -> None:
        if self.form == form:  # else a call that was in flight at the same time has learnt it already
            self.form = _POORER[form]


def manners(model: str) -> Manners:
    """What is known of a model before it was asked."""
    return Manners(temperature=not _FIXED_TEMPERATURE.search(model))


def request(
    answer: type[msgspec.Struct],
    *,
    model: str,
    messages: Sequence[Message],
    form: Form,
    temperature: float | None,
) -> bytes:
    """The body of a chat completion request, encoded: the library's own way takes three times as long (measured)."""
    name, kept_to = results.NAMES[answer], schema.strict(answer)
    body: dict[str, Any] = {"model": model, "messages": messages}
    if temperature is not None:
        body["temperature"] = temperature
    if form == "schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": kept_to},
        }
        return msgspec.json.encode(body)
    rule = f"Answer with nothing but one JSON object, a {name}, that keeps to this JSON schema:\n"
    body["messages"] = _ruled(messages, rule + msgspec.json.encode(kept_to).decode())
    if form == "object":
        body["response_format"] = {"type": "json_object"}
    return msgspec.json.encode(body)


def _ruled(messages: Sequence[Message], rule: str) -> list[Message]:
    """With a rule at the end of the system message: some servers take only one, and only as the first."""
    first, *rest = messages
    return [{**first, "content": f"{first['content']}\n\n{rule}"}, *rest]

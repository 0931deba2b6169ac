"""Bodies of answers: completions, errors as OpenAI words them, and garbage of every kind."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from tests.standin import prose
from tests.standin.behaviour import Does

Finish = Literal["stop", "length", "content_filter"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What goes over the wire."""

    status: int = 200
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a completion is made from."""

    n: int
    model: str
    content: str
    tokens_in: int
    tokens_out: int


def tokens(text: str) -> int:
    """About what a tokenizer would count: four characters each."""
    return (len(text) + 3) // 4


def completion(
    answer: Answer, *, finish: Finish = "stop", content: str | None = None, refusal: str | None = None
) -> Reply:
    message: dict[str, object] = {
        "role": "assistant",
        "content": content,
        "refusal": refusal,
        "annotations": [],
    }
    return _completion(answer, [{"index": 0, "finish_reason": finish, "logprobs": None, "message": message}])


def _completion(answer: Answer, choices: list[dict[str, object]]) -> Reply:
    body = {
        "id": f"chatcmpl-{answer.n}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": answer.tokens_in,
            "completion_tokens": answer.tokens_out,
            "total_tokens": answer.tokens_in + answer.tokens_out,
        },
    }
    return Reply(body=msgspec.json.encode(body))


_PROXY_PAGE = b"<html><head><title>Please wait</title></head><body>The gateway is being restarted.</body></html>"


def proxy_page() -> Reply:
    """What a proxy says in place of the model."""
    return Reply(body=_PROXY_PAGE, content_type="text/html")


def reply(does: Does, answer: Answer) -> Reply:
    """The answer, or what `does` makes of it."""
    match does:
        case "html":
            return proxy_page()
        case "not_json":
            return Reply(body=b'{"id": "chatcmpl-1", "object": chat.completion, "choices": [')
        case "content_not_json":
            return completion(answer, content="Sure! Here is what I see on this page: some text.")
        case "wrong_shape":
            return completion(answer, content='{"page": "one", "words": [1, 2, 3]}')
        case "truncated":
            return completion(answer, finish="length", content=answer.content[: len(answer.content) * 2 // 3])
        case "repeats":
            return completion(answer, content=_repeating(answer.content))
        case "no_content":
            return completion(answer)
        case "content_filter":
            return completion(answer, finish="content_filter")
        case "refusal":
            return completion(answer, refusal="I'm sorry, I can't help with this page.")
        case "empty_choices":
            return _completion(answer, [])
        case _:
            return completion(answer, content=answer.content)


def _repeating(content: str) -> str:
    """The same JSON, with one sentence eighty times over in each of its long texts."""
    fields: dict[str, object] = msgspec.json.decode(content)
    again = " ".join([prose.SENTENCES[0]] * 80)
    for name in ("text", "abstract"):
        if name in fields:
            fields[name] = again
    for name in ("statements", "sections"):
        items = fields.get(name)
        for item in items if isinstance(items, list) else ():
            item["text"] = again
    return msgspec.json.encode(fields).decode()


class Kind(msgspec.Struct, frozen=True):
    """How OpenAI words an error."""

    type: str
    code: str | None
    message: str


_ERRORS = {
    400: Kind("invalid_request_error", None, "The request is invalid."),
    401: Kind("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-stand-in."),
    403: Kind("invalid_request_error", "unsupported_country_region_territory", "Your region is not supported."),
    404: Kind("invalid_request_error", "model_not_found", "The model does not exist."),
    429: Kind("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: Kind("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: Kind("server_error", None, "The engine is currently overloaded, please try again later."),
}


def error(
    status: int,
    *,
    message: str = "",
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error in OpenAI's shape; what is not given is what is usual for the status."""
    usual = _ERRORS.get(status, _ERRORS[500])
    body = {
        "error": {
            "message": message or usual.message,
            "type": usual.type,
            "param": param,
            "code": code or usual.code,
        }
    }
    return Reply(status=status, body=msgspec.json.encode(body), headers=headers or {})


def unsupported(what: str) -> Reply:
    """`what` names a parameter in quotes and its value: 'temperature' of 0.2."""
    return error(
        400,
        message=f"Unsupported value: {what} is not supported with this model.",
        code="unsupported_value",
        param=what.split("'")[1],
    )

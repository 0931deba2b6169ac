"""The OpenAI API as far as it is spoken here: what comes in, what goes out. Unknown fields are ignored."""

from __future__ import annotations

from typing import TypeVar

import msgspec

TOKEN_CHARS = 4
"""Characters that are counted as a token: about what OpenAI's tokenisers make of English prose."""
IMAGE_TOKENS = 765
"""Counted for each image, whatever its size: what OpenAI counts for 1024 x 1024 pixels in high detail."""


class ImageUrl(msgspec.Struct):
    url: str


class Part(msgspec.Struct):
    """A part of a message. An image's data stays base64 until somebody wants to see it."""

    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its text parts, one below the other."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""

    @property
    def images(self) -> list[str]:
        """The URLs of its images."""
        parts = self.content if isinstance(self.content, list) else []
        return [part.image_url.url for part in parts if part.image_url]


class JsonSchema(msgspec.Struct):
    name: str


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    """POST /v1/chat/completions."""

    model: str
    messages: list[Message]
    response_format: ResponseFormat | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    @property
    def most_tokens(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def prompt(self) -> str:
        """What the users' messages say: the source text is there, and nowhere else."""
        return "\n\n".join(message.text for message in self.messages if message.role == "user")

    @property
    def images(self) -> list[str]:
        """The URLs of the users' images."""
        return [url for message in self.messages if message.role == "user" for url in message.images]

    @property
    def tokens(self) -> int:
        """An estimate: TOKEN_CHARS characters are one, an image is IMAGE_TOKENS."""
        texts = sum(estimate(message.text) for message in self.messages)
        return texts + IMAGE_TOKENS * sum(len(message.images) for message in self.messages)


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answer(msgspec.Struct):
    role: str
    content: str
    refusal: None = None


class Choice(msgspec.Struct):
    message: Answer
    finish_reason: str
    index: int = 0
    logprobs: None = None


class ChatCompletion(msgspec.Struct):
    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    object: str = "chat.completion"


class Delta(msgspec.Struct, omit_defaults=True):
    role: str = ""
    content: str = ""


class ChunkChoice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None
    index: int = 0
    logprobs: None = None


class ChatCompletionChunk(msgspec.Struct):
    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    object: str = "chat.completion.chunk"


class Model(msgspec.Struct):
    id: str
    created: int
    description: str
    owned_by: str = "quire"
    object: str = "model"


class Models(msgspec.Struct):
    data: list[Model]
    object: str = "list"


class Error(msgspec.Struct):
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct):
    error: Error


class Refusal(Exception):
    """The request can't be served: an HTTP status and an error for the client."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.error = Error(message=message, param=param, code=code)


Kind = TypeVar("Kind", bound=msgspec.Struct)


def decode(body: bytes, kind: type[Kind]) -> Kind:
    """Raises Refusal for what is not such a request."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        raise Refusal(400, f"{sentence}.", param=path.strip("`.") or None) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The body is not JSON: {error}.") from error


def estimate(text: str) -> int:
    """The tokens of a text, about."""
    return -(-len(text) // TOKEN_CHARS)

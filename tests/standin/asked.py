"""Reads the body of a request to /v1/chat/completions, and complains as OpenAI would."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pybase64

from shared import markup, results
from tests.standin import marks, schemas

Section = tuple[int, int, str]
"""A `<page>` section of the prompt: first page, last page, text."""


class BadRequest(Exception):
    """The request is wrong: 400. The message is the API's; `code` and `param` are those of its error."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class _ImageUrl(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    image_url: _ImageUrl | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _JsonSchema(msgspec.Struct):
    name: str
    strict: bool | None = None
    schema: msgspec.Raw = msgspec.Raw(b"{}")


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    temperature: float | None = None
    response_format: _ResponseFormat | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, understood."""

    model: str
    temperature: float | None
    format: str
    """`response_format.type`, or empty."""
    schema: str
    """A name of shared.results.NAMES."""
    prompt: str
    """The text of all messages."""
    sections: list[Section]
    images: list[str]
    """Their URLs: `data:` or http."""


_decode = msgspec.json.Decoder(_Body).decode
_KNOWN = frozenset(results.NAMES.values())


def read(body: bytes) -> Asked:
    """Raises BadRequest."""
    try:
        parsed = _decode(body)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from error
    texts: list[str] = []
    images: list[str] = []
    for message in parsed.messages:
        if isinstance(message.content, str):
            texts.append(message.content)
        for part in message.content if isinstance(message.content, list) else ():
            if part.image_url is not None:
                images.append(part.image_url.url)
            else:
                texts.append(part.text)
    prompt = "\n".join(texts)
    wanted = parsed.response_format
    return Asked(
        model=parsed.model,
        temperature=parsed.temperature,
        format=wanted.type if wanted else "",
        schema=_schema(wanted, prompt, with_image=bool(images)),
        prompt=prompt,
        sections=list(markup.pages(prompt)),
        images=images,
    )


def _schema(wanted: _ResponseFormat | None, prompt: str, *, with_image: bool) -> str:
    if wanted and wanted.type == "json_schema":
        return _named(wanted.json_schema)
    if wanted and wanted.type == "json_object" and "json" not in prompt.lower():
        raise BadRequest(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    return _guessed(prompt, with_image=with_image)


def _named(wanted: _JsonSchema | None) -> str:
    if wanted is None:
        raise BadRequest(
            "Missing required parameter: 'response_format.json_schema'.", param="response_format.json_schema"
        )
    if wanted.name not in _KNOWN:
        raise BadRequest(
            f"The stand-in has no answer for the schema {wanted.name!r}, only for {', '.join(sorted(_KNOWN))}.",
            param="response_format.json_schema.name",
        )
    if wanted.strict and (wrong := _complaint(wanted.name, bytes(wanted.schema))):
        raise BadRequest(wrong, param="response_format")
    return wanted.name


@lru_cache(maxsize=64)
def _complaint(name: str, schema: bytes) -> str:
    return schemas.complaint(name, msgspec.json.decode(schema))


def _guessed(prompt: str, *, with_image: bool) -> str:
    """Without a schema's name: an image is to be analysed; else the text outside the sections tells."""
    if with_image:
        return "page_analysis"
    asked = "".join(piece.rpartition("</page>")[2] for piece in prompt.split("<page number="))
    return "document_summary" if "abstract_pages" in asked else "batch_summary"


def inline(url: str) -> bytes:
    """The bytes of a `data:` URL. Raises BadRequest."""
    head, _, encoded = url.partition(",")
    if not head.endswith(";base64"):
        raise BadRequest(f"Invalid 'image_url': {head[:80]!r} is not base64.", code="invalid_image_url")
    try:
        return pybase64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadRequest(
            f"Invalid 'image_url': {head[:80]!r} could not be decoded: {error}.", code="invalid_image_url"
        ) from error


def identify(image: bytes) -> str:
    """The token of an image. Raises BadRequest for what is no JPEG, PNG or WebP."""
    if not marks.is_image(image):
        raise BadRequest(
            "You uploaded an unsupported image. Please make sure your image is valid.",
            code="invalid_image_format",
        )
    return marks.token(image)

"""Asks a model as the fleet does, with the real client: for tests of the stand-in and of the local model."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
import openai
import pybase64
from openai.types.chat import ChatCompletion

from shared import results
from shared.ai import schema
from shared.results import PageAnalysis

T = TypeVar("T", bound=msgspec.Struct)


def client(url: str) -> openai.AsyncOpenAI:
    """As the fleet's, which repeats nothing by itself; to be closed."""
    return openai.AsyncOpenAI(
        base_url=url,
        api_key="sk-test",
        max_retries=0,
        timeout=10,
        http_client=openai.DefaultAioHttpClient(),
    )


def inline(image: bytes, kind: str = "jpeg") -> str:
    """The image as a `data:` URL."""
    return f"data:image/{kind};base64,{pybase64.b64encode(image).decode()}"


async def ask(
    client: openai.AsyncOpenAI,
    answer: type[msgspec.Struct],
    prompt: str,
    *,
    image: str = "",
    temperature: float = 0,
    form: Literal["json_schema", "json_object"] = "json_schema",
    wanted: dict[str, Any] | None = None,
) -> ChatCompletion:
    """One call. `image` is a URL; `wanted` is a schema to send in place of the answer's own."""
    named = {"name": results.NAMES[answer], "strict": True, "schema": wanted or schema.strict(answer)}
    content: list[Any] = [{"type": "text", "text": prompt}]
    if image:
        content.append({"type": "image_url", "image_url": {"url": image}})
    response_format: Any = {"type": form} | ({"json_schema": named} if form == "json_schema" else {})
    return await client.chat.completions.create(
        model="eyes",
        temperature=temperature,
        messages=[{"role": "user", "content": content}],
        response_format=response_format,
    )


async def show(client: openai.AsyncOpenAI, image: bytes | str) -> PageAnalysis:
    """Have a page read: its bytes, or its address."""
    url = inline(image) if isinstance(image, bytes) else image
    return _read(await ask(client, PageAnalysis, "Read this page.", image=url), PageAnalysis)


async def summarise(client: openai.AsyncOpenAI, answer: type[T], prompt: str) -> T:
    return _read(await ask(client, answer, prompt), answer)


def _read(completion: ChatCompletion, answer: type[T]) -> T:
    return msgspec.json.decode(completion.choices[0].message.content or "", type=answer)

"""What is answered: the struct that the request's schema names, or a text. Pure; an image comes recognised already."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from services.local_model import documents, passages, picking, reading, spans, summarizing
from services.local_model.recognising import Seen
from services.local_model.wire import ChatRequest, Refusal
from shared import markup
from shared.results import NAMES, BatchSummary, DocumentSummary

MODEL = "quire-local-1"
FINGERPRINT = "quire-local-1-extractive"
DESCRIPTION = (
    "Reads the text layers of pages, recognises print on page images, and summarises by choosing sentences that stand "
    "in the text. Not a language model: it writes nothing of its own, answers no questions and sees no pictures."
)
ABOUT = (
    f"I am {MODEL}, the model that comes with Quire. I am not a language model: I read the print on pages and choose "
    "sentences that stand in a text, so I answer no questions and see no pictures. Send me a few paragraphs, and I "
    "answer with the sentences that say most."
)

Form = Literal["page_analysis", "batch_summary", "document_summary", "json_object", "text"]
Sections = list[tuple[int, int, str]]

_SCHEMAS: tuple[Form, ...] = ("page_analysis", "batch_summary", "document_summary")

_FEWEST = 3  # usable sentences that a text needs to be summarised rather than chatted with
_SENTENCES = 5
_PAGE_NUMBER = re.compile(r"\bpage (\d{1,7})\b", re.IGNORECASE)


def form_of(request: ChatRequest) -> Form:
    """What is asked for. Raises Refusal for a schema that is not one of the fleet's."""
    asked = request.response_format
    match asked.type if asked else "text":
        case "text":
            return "text"
        case "json_object":
            return "json_object"
        case "json_schema":
            name = asked.json_schema.name if asked and asked.json_schema else ""
            for form in _SCHEMAS:
                if form == name:
                    return form
            raise Refusal(
                400,
                f"This model fills no schema but {', '.join(NAMES.values())}; the one asked for is named {name!r}. "
                "It can answer without response_format, or with a json_object.",
                param="response_format",
                code="unsupported_schema",
            )
        case other:
            raise Refusal(
                400,
                f"response_format.type is text, json_object or json_schema, not {other!r}.",
                param="response_format.type",
                code="invalid_value",
            )


def image_to_see(request: ChatRequest, form: Form) -> str | None:
    """The URL of the page image that has to be looked at: its page comes without a text layer that says anything.

    Raises Refusal where there are several: the answer has room for one page.
    """
    images = request.images
    number, text = _asked_page(request)
    if form != "page_analysis" or not images or reading.holds_text(text, page=number):
        return None
    if len(images) > 1:
        raise Refusal(
            400, f"There are {len(images)} images; this model reads one page a request.", code="too_many_images"
        )
    return images[0]


def _asked_page(request: ChatRequest) -> tuple[int, str]:
    """The page's number, and its text layer or ""."""
    for number, _, text in markup.pages(request.prompt):
        return number, text
    named = _PAGE_NUMBER.search(request.prompt)
    return (int(named[1]) if named else 0), ""


def answer(request: ChatRequest, form: Form, seen: Seen | None = None) -> str:
    """The content of the answer: JSON for a schema or a json_object, else text.

    `seen`: what was recognised on the image of `image_to_see`, where that was possible.
    """
    if form == "page_analysis":
        number, text = _asked_page(request)
        page = reading.see(seen, page=number) if seen else reading.read(text, page=number)
        return msgspec.json.encode(page).decode()
    prompt = request.prompt
    sections = list(markup.pages(prompt))
    if form == "text":
        return _text(prompt, sections)
    if form == "json_object":
        return msgspec.json.encode({"text": _text(prompt, sections)}).decode()
    return msgspec.json.encode(_STRUCTURED[form](sections)).decode()


def _batch(sections: Sections) -> BatchSummary:
    return summarizing.batch(sections)


def _document(sections: Sections) -> DocumentSummary:
    return documents.document(sections)


_STRUCTURED: dict[Form, Callable[[Sections], BatchSummary | DocumentSummary]] = {
    "batch_summary": _batch,
    "document_summary": _document,
}


def _text(prompt: str, sections: Sections) -> str:
    """A summary of the pages, or of the text, that the prompt holds; where it holds none, what this model is."""
    if sections:
        summary = summarizing.batch(sections)
        return "\n".join(
            [summary.title, *(f"- {each.text} [{spans.written(each.pages)}]" for each in summary.statements)]
        )
    found = passages.of_page(prompt, 1)
    if len(found) < _FEWEST:
        return ABOUT
    chosen = picking.choose(found, passages.scores(found), _SENTENCES, same_page=1)
    return " ".join(found[place].text for place in chosen)

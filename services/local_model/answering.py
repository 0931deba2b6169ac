"""What is answered: the struct that the request's schema names, or a text. Pure; sees text only, never an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from services.local_model import documents, passages, picking, reading, spans, summarizing
from services.local_model.wire import ChatRequest, Refusal
from shared import markup
from shared.results import NAMES, BatchSummary, DocumentSummary, PageAnalysis

MODEL = "quire-local-1"
FINGERPRINT = "quire-local-1-extractive"
DESCRIPTION = (
    "Reads the text layers of pages and summarises by choosing sentences that stand in the text. "
    "Not a language model: it writes nothing of its own, answers no questions and sees no images."
)
ABOUT = (
    f"I am {MODEL}, the model that comes with Quire. I am not a language model: I read the text layers of pages and "
    "choose sentences that stand in a text, so I answer no questions and see no images. Send me a few paragraphs, and "
    "I answer with the sentences that say most."
)

Form = Literal["page_analysis", "batch_summary", "document_summary", "json_object", "text"]
Sections = list[tuple[int, int, str]]

_FEWEST = 3  # usable sentences that a text needs to be summarised rather than chatted with
_SENTENCES = 5


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
            for form in _STRUCTURED:
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


def answer(request: ChatRequest, form: Form) -> str:
    """The content of the answer: JSON for a schema or a json_object, else text."""
    prompt = request.prompt
    sections = list(markup.pages(prompt))
    if form == "text":
        return _text(prompt, sections)
    if form == "json_object":
        return msgspec.json.encode({"text": _text(prompt, sections)}).decode()
    return msgspec.json.encode(_STRUCTURED[form](sections)).decode()


def _page(sections: Sections) -> PageAnalysis:
    number, _, text = sections[0] if sections else (0, 0, "")
    return reading.read(text, page=number)


def _batch(sections: Sections) -> BatchSummary:
    return summarizing.batch(sections)


def _document(sections: Sections) -> DocumentSummary:
    return documents.document(sections)


_STRUCTURED: dict[Form, Callable[[Sections], PageAnalysis | BatchSummary | DocumentSummary]] = {
    "page_analysis": _page,
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

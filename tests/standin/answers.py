"""Right answers: what a model that reads well says, with a proof of what it was shown.

A page's text holds its image's token. Each statement of a summary cites one `<page>` section of the prompt and
repeats the tokens in it, so that a token can be followed from an image into the document's summary.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from shared.results import (
    BatchSummary,
    Cited,
    DocumentSummary,
    PageAnalysis,
    Section,
)
from tests.standin import asked, marks, prose

Part = TypeVar("Part", Cited, Section)

ABSENT = 1_000_000
"""Added to a page number for the number of a page that no document has."""


def answer(schema: str, token: str, sections: list[asked.Section], *, chars: int) -> msgspec.Struct:
    """The struct for a schema of shared.results.NAMES; a page's text has about `chars` characters."""
    if schema == "page_analysis":
        return page_analysis(token, sections, chars)
    return document_summary(sections) if schema == "document_summary" else batch_summary(sections)


def page_analysis(token: str, sections: list[asked.Section], chars: int) -> PageAnalysis:
    number = sections[0][0] if sections else marks.page(token)
    seen = f"This is the page whose image is {token or 'missing'}."
    text = prose.passage(int(token[-4:] or "0", 16), chars - len(seen))
    first = text.partition(". ")[0].rstrip(".")
    return PageAnalysis(
        text=f"# Page {number}\n\n{seen} {text}",
        headings=[f"Chapter {(number + 9) // 10}", f"Page {number}"],
        summary=f"{first}. It was read from {token or 'no image'}.",
        key_points=[f"{first}."],
        tables=[],
        figures=[],
        language="en",
        kind="text",
        confidence=0.97,
    )


def _statement(section: asked.Section) -> str:
    first, last, text = section
    tokens = list(dict.fromkeys(marks.TOKEN.findall(text)))
    named = f"Page {first}" if first == last else f"Pages {first} to {last}"
    return f"{named}: {', '.join(tokens) or text.strip()[:80]}."


def _pages(section: asked.Section) -> list[int]:
    return list(range(section[0], section[1] + 1))


def batch_summary(sections: list[asked.Section]) -> BatchSummary:
    return BatchSummary(
        title=_title(sections),
        statements=[Cited(text=_statement(section), pages=_pages(section)) for section in sections],
    )


def document_summary(sections: list[asked.Section]) -> DocumentSummary:
    return DocumentSummary(
        title=_title(sections),
        title_pages=[section[0] for section in sections[:1]],
        abstract=f"A document of {len(sections)} parts. {prose.passage(len(sections), 200)}",
        abstract_pages=[section[0] for section in sections],
        sections=[
            Section(heading=f"Part {place}", text=_statement(section), pages=_pages(section))
            for place, section in enumerate(sections, 1)
        ],
        key_points=[Cited(text=_statement(section), pages=[section[0]]) for section in sections[:5]],
    )


def _title(sections: list[asked.Section]) -> str:
    return f"Pages {sections[0][0]} to {sections[-1][1]}" if sections else "Nothing"


def miscited(answer: msgspec.Struct) -> msgspec.Struct:
    """The same with wrong citations: each part also cites a page that doesn't exist, every second only such."""
    if isinstance(answer, BatchSummary):
        return msgspec.structs.replace(answer, statements=_all_wrong(answer.statements))
    if isinstance(answer, DocumentSummary):
        return msgspec.structs.replace(
            answer,
            title_pages=_wrong(0, answer.title_pages),
            abstract_pages=_wrong(0, answer.abstract_pages),
            sections=_all_wrong(answer.sections),
            key_points=_all_wrong(answer.key_points),
        )
    return answer


def _all_wrong(parts: list[Part]) -> list[Part]:
    return [msgspec.structs.replace(part, pages=_wrong(place, part.pages)) for place, part in enumerate(parts)]


def _wrong(place: int, pages: list[int]) -> list[int]:
    absent = [pages[0] + ABSENT] if pages else [ABSENT]
    return absent if place % 2 else [*pages, *absent]

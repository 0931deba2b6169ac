"""The page worker: a page image is shown to the model, and its analysis is kept."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec

from shared import blobs
from shared.ai.answers import Answer
from shared.errors import Refused
from shared.events import PageRequested
from shared.outcomes import PageRead
from shared.results import PageAnalysis

log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
Keep = Callable[[str, bytes], Awaitable[None]]
Read = Callable[[PageRequested, bytes, str], Awaitable[Answer[PageAnalysis]]]


async def handle(fact: PageRequested, *, fetch: Fetch, keep: Keep, read: Read) -> PageRead:
    """A page is read. Raises what `read` raises, and Refused where its image or its text layer is gone."""
    try:
        image = await fetch(fact.image)
        text = (await fetch(fact.text)).decode(errors="replace") if fact.text else ""
    except FileNotFoundError as error:
        raise Refused(f"The image or the text layer of page {fact.page} is no longer stored: {error}") from error
    answer = await read(fact, image, text)
    blob = blobs.page_result(fact.job, fact.run, fact.ordinal)
    await keep(blob, msgspec.json.encode(checked(answer.value, text)))
    log.debug(
        "page %d read",
        fact.page,
        extra={
            "action": "page_read",
            "seconds": round(answer.seconds, 3),
            "tokens_in": answer.usage.tokens_in,
            "tokens_out": answer.usage.tokens_out,
        },
    )
    return PageRead(blob=blob, usage=answer.usage)


def checked(analysis: PageAnalysis, text_layer: str) -> PageAnalysis:
    """The analysis with a confidence that can be relied on: from 0 to 1, and 0 where the page's text was not seen."""
    confidence = min(1.0, max(0.0, analysis.confidence))
    if text_layer.strip() and not analysis.text.strip():
        confidence = 0.0
    return msgspec.structs.replace(analysis, confidence=confidence, language=analysis.language.strip() or "und")

"""The page worker: a page image is shown to the model, once, and its analysis is kept."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec

from shared import blobs
from shared.ai.answers import Answer
from shared.errors import Refused
from shared.events import PageRequested
from shared.outcomes import PageRead
from shared.questions import Claim, Found, Question
from shared.records import Job, wanted
from shared.results import PageAnalysis

log = logging.getLogger(__name__)

GetJob = Callable[[str], Awaitable[Job | None]]
Fetch = Callable[[str], Awaitable[bytes]]
Keep = Callable[[str, bytes], Awaitable[None]]
Ask = Callable[[Job, bytes, str], Question[PageAnalysis]]
Read = Callable[[PageRequested, bytes, str], Awaitable[Answer[PageAnalysis]]]


async def handle(
    fact: PageRequested, *, job: GetJob, fetch: Fetch, keep: Keep, question: Ask, claim: Claim, read: Read
) -> PageRead:
    """A page is read, unless the same was read before.

    Raises what `read` and `claim` raise, Refused where its image or its text layer is gone, Gone where nobody wants it.
    """
    known = wanted(await job(fact.job), fact)
    try:
        image = await fetch(fact.image)
        text = (await fetch(fact.text)).decode(errors="replace") if fact.text else ""
    except FileNotFoundError as error:
        raise Refused(f"The image or the text layer of page {fact.page} is no longer stored: {error}") from error
    async with claim(question(known, image, text), fact) as held:
        if held.found is not None:
            return await _taken_over(held.found, fact, keep)
        answer = await read(fact, image, text)
        blob = blobs.page_result(fact.job, fact.run, fact.ordinal)
        await keep(blob, msgspec.json.encode(checked(answer.value, text)))
        await held.keep(blob, answer.usage)
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


async def _taken_over(found: Found[PageAnalysis], fact: PageRequested, keep: Keep) -> PageRead:
    """Another page's result becomes this one's, as a copy: each job's folder can be deleted whole."""
    log.debug("page %d was read before", fact.page, extra={"action": "page_cached"})
    if found.own:
        return PageRead(blob=found.blob, usage=found.usage)
    blob = blobs.page_result(fact.job, fact.run, fact.ordinal)
    await keep(blob, msgspec.json.encode(found.value))
    return PageRead(blob=blob, usage=found.usage, cached=True)


def checked(analysis: PageAnalysis, text_layer: str) -> PageAnalysis:
    """The analysis with a confidence that can be relied on: from 0 to 1, and 0 where the page's text was not seen."""
    confidence = min(1.0, max(0.0, analysis.confidence))
    if text_layer.strip() and not analysis.text.strip():
        confidence = 0.0
    return msgspec.structs.replace(analysis, confidence=confidence, language=analysis.language.strip() or "und")

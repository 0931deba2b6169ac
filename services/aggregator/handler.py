"""The aggregator: a batch whose pages have all ended is summarised; when all batches are, the document is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from services.aggregator import citations, levels, prompts
from services.aggregator.levels import Asker
from services.aggregator.prompts import Run
from shared import blobs
from shared.errors import Refused
from shared.events import BatchSummarized, PageAnalyzed
from shared.outcomes import BatchDone, DocumentDone, Noted, Outcome
from shared.records import BatchRecord, Job, PageRecord, wanted
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

GetJob = Callable[[str], Awaitable[Job | None]]
Pages = Callable[[Job, Sequence[int]], Awaitable[list[PageRecord]]]
Batches = Callable[[Job], Awaitable[list[BatchRecord]]]
Fetch = Callable[[str], Awaitable[bytes]]
Keep = Callable[[str, bytes], Awaitable[None]]
NewAsker = Callable[[Job, PageAnalyzed | BatchSummarized], Asker]

AT_ONCE = 8  # blobs fetched together
PAGES_AT_ONCE = 500  # records read together: the answer stays well under a megabyte


async def summarize_batch(
    fact: PageAnalyzed, *, job: GetJob, pages: Pages, fetch: Fetch, asker: NewAsker, keep: Keep
) -> Outcome:
    """The batch's summary, after its last page. A batch of gaps only has none, and of empty pages an empty one.

    Blank pages were read without an analysis: they are no gaps, and there is nothing on them to cite.
    """
    if not fact.last:
        return Noted()
    known = wanted(await job(fact.job), fact)
    records = await pages(known, known.batch_ordinals(fact.batch))
    read = [record for record in records if record.blob]
    gaps = [record.page for record in records if _is_gap(record)]
    if len(gaps) == len(records):
        return BatchDone(failed=f"none of its pages could be read: {_reason(records)}")
    analyses = await _fetch_all([record.blob for record in read], PageAnalysis, fetch)
    shown = [(record.page, page) for record, page in zip(read, analyses, strict=True)]
    own = [Cited(text=page.summary, pages=[number]) for number, page in shown if page.summary.strip()]
    if not own and not any(page.text.strip() or page.figures for page in analyses):
        empty = BatchSummary(title="", statements=[])  # asked about nothing, a model makes something up
        return BatchDone(blob=await _kept(empty, blobs.batch_result(fact.job, fact.run, fact.batch), keep))
    asking = asker(known, fact)
    made = await levels.batch(shown, gaps=gaps, asker=asking)
    statements = citations.batch(
        made.statements, pages=[record.page for record in records], read=[number for number, _ in shown]
    )
    summary = BatchSummary(title=made.title.strip(), statements=statements or own)
    blob = await _kept(summary, blobs.batch_result(fact.job, fact.run, fact.batch), keep)
    log.info("batch %d summarised", fact.batch, extra={"action": "batch_summarized", "statements": len(statements)})
    return BatchDone(blob=blob, usage=asking.usage)


async def summarize_document(
    fact: BatchSummarized, *, job: GetJob, pages: Pages, batches: Batches, fetch: Fetch, asker: NewAsker, keep: Keep
) -> Outcome:
    """The document's summary, after its last batch. It cites only pages that were read."""
    if not fact.last:
        return Noted()
    known = wanted(await job(fact.job), fact)
    survey = await _survey(known, pages)
    if survey.opening is None and not survey.gaps:
        told = "The page is blank." if known.pages == 1 else f"All {known.pages} pages are blank."
        empty = DocumentSummary(title="", title_pages=[], abstract=told, abstract_pages=[], sections=[], key_points=[])
        return DocumentDone(blob=await _kept(empty, blobs.document_result(fact.job, fact.run), keep))
    if survey.opening is None and known.blank:
        return DocumentDone(failed="The pages that could be read are blank.")
    if survey.opening is None:
        return DocumentDone(failed=f"No page could be read: {survey.reason}")
    records = await batches(known)
    summarised = [record for record in records if record.blob]
    summaries = await _fetch_all([record.blob for record in summarised], BatchSummary, fetch)
    runs = [
        Run(*survey.bounds[record.batch], summary)
        for record, summary in zip(summarised, summaries, strict=True)
        if summary.statements
    ]
    if not runs:
        reason = next((record.failed for record in records if record.failed), "they hold nothing that could be told")
        return DocumentDone(failed=f"The pages could be read, but not summarised: {reason}")
    (opening,) = await _fetch_all([survey.opening.blob], PageAnalysis, fetch)
    without = {record.batch for record in records if not record.blob}
    asking = asker(known, fact)
    messages = prompts.document(
        (survey.opening.page, opening),
        await levels.shortened(runs, read=list(survey.read), asker=asking),
        gaps=survey.gaps,
        unsummarised=[page for page, batch in survey.read.items() if batch in without],
    )
    made = await asking.one(DocumentSummary, messages)
    said = {page for run in runs for statement in run.summary.statements for page in statement.pages}
    summary = citations.document(made, read=list(survey.read), said=sorted(said))
    if not summary.title:
        summary = msgspec.structs.replace(summary, title=next(iter(opening.headings), runs[0].summary.title))
    blob = await _kept(summary, blobs.document_result(fact.job, fact.run), keep)
    log.info("document summarised", extra={"action": "document_summarized", "sections": len(summary.sections)})
    return DocumentDone(blob=blob, usage=asking.usage)


class _Survey(msgspec.Struct):
    """A document's pages: numbers only, so that a document of any length fits."""

    read: dict[int, int] = {}
    """Page -> batch, of the pages that were analysed, in order."""
    gaps: list[int] = []
    bounds: dict[int, tuple[int, int]] = {}
    """Batch -> its first and last page."""
    opening: PageRecord | None = None
    """The first page that was analysed."""
    reason: str = ""
    """Why the first gap is one."""


async def _survey(known: Job, pages: Pages) -> _Survey:
    survey = _Survey()
    for start in range(0, known.pages, PAGES_AT_ONCE):
        for record in await pages(known, range(start, min(start + PAGES_AT_ONCE, known.pages))):
            batch = record.ordinal // known.batch_size
            survey.bounds[batch] = (survey.bounds.get(batch, (record.page,))[0], record.page)
            if record.blob:
                survey.read[record.page] = batch
                survey.opening = survey.opening or record
            elif _is_gap(record):
                survey.gaps.append(record.page)
                survey.reason = survey.reason or record.reason
    return survey


async def _fetch_all(keys: Sequence[str], kind: type[T], fetch: Fetch) -> list[T]:
    """These results, in order. Raises Refused where one is no longer stored."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> T:
        async with gate:
            return msgspec.json.decode(await fetch(key), type=kind)

    # Not a task group: the first error matters as it is, and none of the others is left behind.
    found = await asyncio.gather(*map(one, keys), return_exceptions=True)
    results = []
    for key, result in zip(keys, found, strict=True):
        if isinstance(result, FileNotFoundError):
            raise Refused(f"A result that is needed here is no longer stored: {key}") from result
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results


async def _kept(result: msgspec.Struct, blob: str, keep: Keep) -> str:
    await keep(blob, msgspec.json.encode(result))
    return blob


def _is_gap(record: PageRecord) -> bool:
    return not record.blob and not record.blank


def _reason(records: Sequence[PageRecord]) -> str:
    return next((record.reason for record in records if record.reason), "no reason is known")

"""A document's result as a readable report in Markdown; every statement names its pages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.gateway import api
from shared.citing import cite
from shared.records import TERMINAL, Job, usage
from shared.results import DocumentSummary


def markdown(
    job: Job, *, summary: DocumentSummary | None, batches: Sequence[api.Batch], gaps: Sequence[api.Gap]
) -> str:
    """The whole report. Without a summary it says what there is, and why there is no more."""
    blocks = [_title(job, summary), _state(job), *_gaps(gaps)]
    if summary is not None:
        blocks += [_stated(summary.abstract, summary.abstract_pages), *_key_points(summary), *_sections(summary)]
    blocks += [*_batches(batches), *_usage(job)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _stated(text: str, pages: Iterable[int]) -> str:
    return f"{text.strip()} {cite(pages)}".strip()


def _title(job: Job, summary: DocumentSummary | None) -> str:
    if summary is None or not summary.title.strip():
        return f"# Document {job.id}"
    return f"# {_stated(' '.join(summary.title.split()), summary.title_pages)}"


def _state(job: Job) -> str:
    """One paragraph: how far the reading came."""
    counted = f"{job.done:,} of {job.pages:,} pages read" if job.pages else "pages not counted yet"
    sentence = f"Status: **{job.status}**, {counted}."
    if job.reason:
        sentence += f" {job.reason}"
    if job.status not in TERMINAL:
        sentence += " This report will grow while the document is being read."
    return sentence


def _gaps(gaps: Sequence[api.Gap]) -> list[str]:
    if not gaps:
        return []
    by_reason: dict[str, list[int]] = {}
    for gap in gaps:
        by_reason.setdefault(gap.reason, []).append(gap.page)
    noun = "page" if len(gaps) == 1 else "pages"
    lines = "\n".join(f"- {cite(pages)} {reason}" for reason, pages in by_reason.items())
    return [f"## Gaps\n\n{len(gaps):,} {noun} could not be read; nothing below speaks of them.\n\n{lines}"]


def _key_points(summary: DocumentSummary) -> list[str]:
    if not summary.key_points:
        return []
    return ["## Key points\n\n" + "\n".join(f"- {_stated(p.text, p.pages)}" for p in summary.key_points)]


def _sections(summary: DocumentSummary) -> list[str]:
    return [f"## {' '.join(s.heading.split())}\n\n{_stated(s.text, s.pages)}" for s in summary.sections]


def _batches(batches: Sequence[api.Batch]) -> list[str]:
    told = [batch for batch in batches if batch.statements or batch.reason]
    if not told:
        return []
    return ["## Page by page", *(_batch(batch) for batch in told)]


def _batch(batch: api.Batch) -> str:
    span = (
        f"Page {batch.first_page}"
        if batch.first_page == batch.last_page
        else (f"Pages {batch.first_page}–{batch.last_page}")
    )
    if not batch.statements:
        return f"### {span}\n\nThere is no summary of these pages: {batch.reason}"
    title = f": {' '.join(batch.title.split())}" if batch.title else ""
    return f"### {span}{title}\n\n" + "\n".join(f"- {_stated(s.text, s.pages)}" for s in batch.statements)


def _usage(job: Job) -> list[str]:
    used = usage(job)
    if not used.calls:
        return []
    cost = "at a price that is not known" if used.cost_usd is None else f"for {used.cost_usd:.4f} USD"
    if used.cost_usd is not None and job.unpriced:
        cost += f", not counting {job.unpriced:,} calls whose price is not known"
    return [
        f"## Usage\n\n{used.calls:,} model calls, {used.tokens_in:,} tokens in and {used.tokens_out:,} out, {cost}."
    ]

"""What a handler may return for a fact: one of several, by a number."""

from __future__ import annotations

from shared.events import (
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    Fact,
    PageAnalyzed,
    PageRequested,
)
from shared.outcomes import (
    BatchDone,
    DocumentDone,
    Narrated,
    Noted,
    Outcome,
    PageRead,
    Planned,
    Rendered,
    RenderedPage,
    Speaking,
    Usage,
)
from tests.model.state import Job

ONE_CALL = Usage(calls=1, tokens_in=10, tokens_out=1, cost_usd=0.01)
LONGEST = 5  # pages of a document


def outcome(fact: Fact, shape: int, job: Job | None) -> Outcome | None:
    """None where the handler could not be called."""
    lost = shape % 4 == 3
    match fact:
        case DocSubmitted():
            return Planned(pages=1 + shape % LONGEST)
        case BatchRequested():
            return _rendered(fact, shape, job)
        case PageRequested():
            return PageRead(blob=f"page{shape}", usage=ONE_CALL)
        case PageAnalyzed(last=False):
            return Noted()
        case PageAnalyzed():
            return BatchDone(failed="no page was read") if lost else BatchDone(blob=f"batch{shape}", usage=ONE_CALL)
        case BatchSummarized(last=False):
            return Noted()
        case BatchSummarized():
            return DocumentDone(failed="nothing to sum up") if lost else DocumentDone(blob=f"doc{shape}")
        case DocSummarized():
            return Speaking() if shape % 3 == 0 else Narrated(audio=f"mp3{shape}", timeline="t", usage=ONE_CALL)
    return None


def _rendered(fact: BatchRequested, shape: int, job: Job | None) -> Rendered | None:
    if job is None or not job.planned or fact.batch >= job.batches:
        return None
    pages = []
    ordinals = job.ordinals(fact.batch)
    last = shape % 3 != 0
    for ordinal in ordinals if last else ordinals[:1]:
        kind = (shape // 3 + ordinal) % 5
        image, blank, failed = f"image{ordinal}" if kind < 3 else "", kind == 3, "torn" if kind == 4 else ""
        page = job.page(ordinal)
        pages.append(RenderedPage(ordinal=ordinal, page=page, image=image, blank=blank, failed=failed))
    return Rendered(pages=pages, last=last)

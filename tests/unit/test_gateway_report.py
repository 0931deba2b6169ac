"""The report in Markdown."""

from __future__ import annotations

import msgspec
import pytest

from services.gateway import api
from services.gateway.report import markdown
from shared.records import Job
from shared.results import Cited, DocumentSummary, Section

JOB = Job(
    ref="local/7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01",
    run="r",
    status="partial",
    reason="2 pages could not be read.",
    kind="pdf",
    source="s",
    fingerprint="f",
    batch_size=25,
    created_ms=1,
    pages=30,
    batches=2,
    done=28,
    failed=2,
    batches_done=1,
    batches_failed=1,
    calls=30,
    tokens_in=12345,
    tokens_out=678,
    cost_usd=0.01234,
)
SUMMARY = DocumentSummary(
    title="Arrays",
    title_pages=[1],
    abstract="It tells of arrays.",
    abstract_pages=[1, 2, 3, 9],
    sections=[Section(heading="Indexing", text="One indexes.", pages=[5, 4])],
    key_points=[Cited(text="Arrays hold things.", pages=[7]), Cited(text="Nobody says so.", pages=[])],
)
BATCHES = [
    api.Batch(
        batch=0,
        first_page=1,
        last_page=25,
        title="The start",
        summary="It starts.",
        statements=[Cited(text="It starts.", pages=[1, 2])],
    ),
    api.Batch(batch=1, first_page=26, last_page=30, reason="The model refused."),
]
GAPS = [
    api.Gap(page=4, reason="The page is damaged."),
    api.Gap(page=5, reason="The page is damaged."),
    api.Gap(page=6, reason="The page is damaged."),
    api.Gap(page=11, reason="The model refused."),
]


def test_a_report_says_all_there_is_with_its_pages() -> None:
    assert markdown(JOB, summary=SUMMARY, batches=BATCHES, gaps=GAPS) == (
        """\
# Arrays [p. 1]

Status: **partial**, 28 of 30 pages read. 2 pages could not be read.

## Gaps

4 pages could not be read; nothing below speaks of them.

- [pp. 4–6] The page is damaged.
- [p. 11] The model refused.

It tells of arrays. [pp. 1–3, 9]

## Key points

- Arrays hold things. [p. 7]
- Nobody says so.

## Indexing

One indexes. [pp. 4, 5]

## Page by page

### Pages 1–25: The start

- It starts. [pp. 1, 2]

### Pages 26–30

There is no summary of these pages: The model refused.

## Usage

30 model calls, 12,345 tokens in and 678 out, for 0.0123 USD.
"""
    )


def test_a_report_of_a_job_that_still_runs_says_so() -> None:
    running = msgspec.structs.replace(JOB, status="processing", reason="", done=3, failed=0, calls=0)
    waiting = api.Batch(batch=0, first_page=1, last_page=25)
    assert markdown(running, summary=None, batches=[waiting], gaps=[]) == (
        "# Document 7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01\n\n"
        "Status: **processing**, 3 of 30 pages read. This report will grow while the document is being read.\n"
    )


def test_a_report_of_a_document_that_was_never_opened_gives_the_reason() -> None:
    failed = msgspec.structs.replace(JOB, status="failed", reason="The PDF needs a password.", pages=0, calls=0)
    assert "Status: **failed**, pages not counted yet. The PDF needs a password." in markdown(
        failed, summary=None, batches=[], gaps=[]
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unpriced": 30}, "at a price that is not known."),
        ({"unpriced": 3}, "for 0.0123 USD, not counting 3 calls whose price is not known."),
    ],
)
def test_a_price_that_is_not_known_is_not_told_as_nothing(changes: dict[str, int], told: str) -> None:
    assert told in markdown(msgspec.structs.replace(JOB, **changes), summary=None, batches=[], gaps=[])

"""A document goes in over HTTP, and all of it comes out: complete, in order, each page from its own image."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import pages
from tests.conftest import eventually
from tests.fleets import PROJECT, Fleet
from tests.standin.behaviour import Behaviour, Rule

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"
"""113 pages with fonts and formulas; some 30 ms each to render."""
OUT_OF_ORDER = Behaviour(latency_s=(0.01, 0.2))
"""Answers overtake each other."""
STATUSES = ["queued", "processing", "summarizing", "completed"]


def cited(document: dict[str, Any]) -> Iterator[list[int]]:
    """The pages that each statement of a result names."""
    summary = document["summary"]
    yield summary["title_pages"]
    yield summary["abstract_pages"]
    for statement in itertools.chain(
        summary["sections"], summary["key_points"], *(batch["statements"] for batch in document["batches"])
    ):
        yield statement["pages"]


async def test_sixty_images_come_back_complete_in_order_and_each_from_its_own_image(fleet: Fleet) -> None:
    fleet.model.behave(OUT_OF_ORDER)
    images = [pages.page_image(number, seed=1) for number in range(1, 61)]
    job = (await fleet.api.images(images))["job_id"]
    status = await fleet.api.ended(job)
    document = await fleet.api.document(job)
    assert (status["status"], document["status"], document["gaps"]) == ("completed", "completed", [])
    assert [page["page"] for page in document["pages"]] == list(range(1, 61))
    assert {page["status"] for page in document["pages"]} == {"done"}
    assert len({page["text"] for page in document["pages"]}) == 60
    for page, image in zip(document["pages"], images, strict=True):
        assert pages.token(image) in page["text"]
    summary = str(document["summary"]["sections"])
    assert all(pages.token(image) in summary for image in images), "nothing is lost on the way to the summary"


async def test_a_page_is_paid_for_once_and_the_usage_is_what_the_model_counted(fleet: Fleet) -> None:
    images = [pages.page_image(number, seed=2) for number in range(1, 61)]
    job = (await fleet.api.images(images))["job_id"]
    status = await fleet.api.ended(job)
    stats, calls = fleet.model.stats(), fleet.model.calls
    assert stats.by_token == {pages.token(image): 1 for image in images}
    assert {schema: sum(ends.values()) for schema, ends in stats.by_schema.items()} == {
        "page_analysis": 60,
        "batch_summary": 3,
        "document_summary": 1,
    }
    assert status["usage"] == {
        "calls": len(calls),
        "tokens_in": sum(call.tokens_in for call in calls),
        "tokens_out": sum(call.tokens_out for call in calls),
        "cost_usd": None,  # nobody has told what the stand-in costs
    }


async def test_what_is_answered_on_the_way_is_what_clients_rely_on(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=(0.05, 0.3)))
    accepted = await fleet.api.images([pages.page_image(number, seed=3) for number in range(1, 61)])
    job = accepted["job_id"]
    minutes = accepted.pop("estimated_completion_minutes")
    assert accepted == {
        "status": "queued",
        "job_id": job,
        "processing_strategy": "batch_parallel",
        "batch_size": 25,
        "estimated_batches": 3,
        "status_endpoint": f"/batch-status/{job}",
        "cancel_endpoint": f"/cancel-job/{job}",
    }
    assert isinstance(minutes, int)
    assert minutes >= 1

    seen = []

    async def status() -> dict[str, Any]:
        seen.append(await fleet.api.status(job))
        return seen[-1]

    last = await eventually(status, within_s=30, until=lambda answer: bool(answer["stage"] == "ended"))
    for name in ("progress", "current_page"):
        counted = [answer[name] for answer in seen]
        assert counted == sorted(counted), f"{name} never runs backwards"
    passed = [status for status, _ in itertools.groupby(answer["status"] for answer in seen)]
    assert passed == [status for status in STATUSES if status in passed]
    assert len(passed) > 2
    assert all(answer["progress"] < 100 for answer in seen if answer["stage"] != "ended")
    assert (last["status"], last["progress"], last["current_page"], last["total_pages"]) == ("completed", 100, 60, 60)
    assert last["batches"] == {"total": 3, "completed": 3, "active": 0, "failed": 0}
    assert last["pages"] == {"done": 60, "failed": 0, "cached": 0, "blank": 0}
    assert (last["gaps"], last["reason"]) == ([], None)
    assert last["estimated_seconds_remaining"] is last["estimated_completion_iso"] is None
    assert all(last[name].endswith("Z") for name in ("created_at", "started_at", "ended_at"))
    assert last["created_at"] <= last["started_at"] <= last["ended_at"]


async def test_every_citation_names_a_page_that_exists_whatever_the_model_cites(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(does="wrong_pages")]))
    job = await fleet.api.pages(60, seed=4)
    await fleet.api.ended(job)
    document = await fleet.api.document(job)
    assert document["status"] == "completed"
    lists = list(cited(document))
    assert len(lists) > 60
    assert all(lists), "every statement names pages"
    assert {page for named in lists for page in named} <= set(range(1, 61))


async def test_a_pdf_is_read_with_its_text_layer_and_comes_back_as_a_report(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(keep_prompts=True))
    job = await fleet.api.pdf(pages.pdf(30, seed=5))
    status = await fleet.api.ended(job)
    assert (status["status"], status["total_pages"], status["batches"]["total"]) == ("completed", 30, 1)
    shown = {call.pages[0]: call for call in fleet.model.calls if call.schema == "page_analysis"}
    assert sorted(shown) == list(range(1, 31))
    for number, call in shown.items():
        assert pages.said(number, of=30) in call.prompt
        assert call.token.startswith("image-"), "a page image was made of it"
    assert len({call.token for call in shown.values()}) == 30
    report = await fleet.api.report(job)
    assert report.startswith("# Pages 1 to 30")
    assert "Status: **completed**, 30 of 30 pages read." in report
    assert "[p. 30]" in report
    assert all(call.token in report for call in shown.values())


async def test_the_first_page_reaches_the_model_before_the_second_batch_is_rendered(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(rules=[Rule(does="hang")]))
    job = await fleet.api.pdf(SAMPLE.read_bytes())
    rendered = fleet.folder / "blobs"

    async def second_batch() -> list[Path]:
        return [page for page in rendered.glob(f"jobs/local/{job}/*/pages/*.jpg") if 25 <= int(page.stem) < 50]

    images = await eventually(second_batch, until=lambda found: len(found) == 25)
    assert fleet.model.calls[0].at < max(image.stat().st_mtime for image in images)
    await fleet.api.cancel(job)

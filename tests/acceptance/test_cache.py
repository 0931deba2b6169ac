"""A page already read, and a summary already written, is not paid for again: same inputs, same tenant, same user."""

from __future__ import annotations

from typing import Any

import pytest

from tests import pages
from tests.fleets import Fleet
from tests.standin.behaviour import Behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

FREE = {"calls": 0, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0}


async def completed(
    fleet: Fleet, images: list[bytes], *, user: str = "reader"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Submit these images; the job's last status and its result."""
    job = (await fleet.api.images(images, user=user))["job_id"]
    return await outcome(fleet, job)


async def outcome(fleet: Fleet, job: str) -> tuple[dict[str, Any], dict[str, Any]]:
    status = await fleet.api.ended(job)
    assert (status["status"], status["gaps"]) == ("completed", [])
    return status, await fleet.api.document(job)


async def test_a_document_that_comes_again_costs_nothing_and_says_so(fleet: Fleet) -> None:
    images = [pages.page_image(number, seed=91) for number in range(1, 31)]
    first, before = await completed(fleet, images)
    assert (first["usage"]["calls"], first["pages"]["cached"]) == (30 + 1 + 1, 0)
    fleet.model.forget()

    again, after = await completed(fleet, images)
    assert fleet.model.calls == []
    assert again["usage"] == FREE
    assert again["pages"] == {"done": 30, "failed": 0, "cached": 30, "blank": 0}
    assert [page["cached"] for page in before["pages"]] == [False] * 30
    assert [page["cached"] for page in after["pages"]] == [True] * 30
    assert [page["text"] for page in after["pages"]] == [page["text"] for page in before["pages"]]
    assert (after["batches"], after["summary"]) == (before["batches"], before["summary"])


async def test_a_page_is_known_wherever_it_stands_and_what_is_new_is_paid_for(fleet: Fleet) -> None:
    images = [pages.page_image(number, seed=92) for number in range(1, 7)]
    await completed(fleet, images[:4])
    fleet.model.forget()
    status, document = await completed(fleet, [images[4], images[3], images[5], images[0]])
    assert fleet.model.stats().by_token == {pages.token(images[4]): 1, pages.token(images[5]): 1}
    assert [page["cached"] for page in document["pages"]] == [False, True, False, True]
    for page, place in zip(document["pages"], (4, 3, 5, 0), strict=True):
        assert pages.token(images[place]) in page["text"]
    assert status["usage"]["calls"] == 2 + 1 + 1, "its summaries are new, too"


async def test_the_same_image_ten_times_in_a_document_is_one_call(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=0.3))
    image = pages.page_image(1, seed=93)
    status, document = await completed(fleet, [image] * 10)
    assert fleet.model.stats().by_token == {pages.token(image): 1}
    assert (status["usage"]["calls"], status["pages"]["cached"]) == (1 + 1 + 1, 9)
    assert len({page["text"] for page in document["pages"]}) == 1


async def test_the_same_document_twice_at_once_is_paid_for_once(fleet: Fleet) -> None:
    fleet.model.behave(Behaviour(latency_s=(0.1, 0.4)))
    images = [pages.page_image(number, seed=94) for number in range(1, 21)]
    jobs = [(await fleet.api.images(images))["job_id"] for _ in range(2)]
    ends = [await outcome(fleet, job) for job in jobs]
    assert fleet.model.stats().by_token == {pages.token(image): 1 for image in images}
    assert len(fleet.model.calls) == sum(status["usage"]["calls"] for status, _ in ends) == 20 + 1 + 1
    assert sum(status["pages"]["cached"] for status, _ in ends) == 20


async def test_another_users_document_is_paid_for_again(fleet: Fleet) -> None:
    images = [pages.page_image(number, seed=95) for number in range(1, 4)]
    await completed(fleet, images)
    status, document = await completed(fleet, images, user="somebody else")
    assert fleet.model.stats().by_token == {pages.token(image): 2 for image in images}
    assert (status["usage"]["calls"], status["pages"]["cached"]) == (3 + 1 + 1, 0)
    assert not any(page["cached"] for page in document["pages"])


async def test_a_pdf_that_comes_again_costs_nothing(fleet: Fleet) -> None:
    """Its pages are rendered again, to the same images."""
    document = pages.pdf(5, seed=96)
    await outcome(fleet, await fleet.api.pdf(document))
    fleet.model.forget()
    status, _ = await outcome(fleet, await fleet.api.pdf(document))
    assert fleet.model.calls == []
    assert (status["pages"]["cached"], status["usage"]) == (5, FREE)

"""Status, cancel, result and report of a job, and what the gateway says of the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientPayloadError
from redis.asyncio import Redis

from shared.events import FACTS
from shared.fleet import Liveness
from tests.integration.gateways import IMAGES, JSON, PAGES, SUMMARY, Fleet, Gateway, json_body, running


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path) as started:
        yield started


@pytest.fixture
def fleet(gateway: Gateway) -> Fleet:
    return Fleet(gateway.app)


async def test_the_status_tells_the_truth_from_the_start_to_the_end(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    path = accepted["status_endpoint"]

    async def status() -> Any:
        code, answer = await gateway.ask("GET", path)
        assert code == 200
        return answer

    seen = [await status()]
    assert (seen[0]["status"], seen[0]["stage"], seen[0]["total_pages"]) == ("queued", "splitting", 60)
    await fleet.plan(60)
    ended = 0
    while ended < 60:
        await fleet.render()
        seen.append(await status())
        ended += await fleet.read(gaps={7, 30})
        seen.append(await status())
    assert seen[2]["status"] == "processing"
    assert (seen[-1]["status"], seen[-1]["current_page"]) == ("summarizing", 60)
    await fleet.summarise()
    seen.append(await status())
    assert seen[-1]["batches"] == {"total": 3, "completed": 3, "active": 0, "failed": 0}
    await fleet.conclude()
    last = await status()
    progress = [answer["progress"] for answer in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 98
    assert (last["status"], last["progress"], last["stage"]) == ("partial", 100, "ended")
    assert last["pages"] == {"done": 58, "failed": 2, "cached": 0, "blank": 0}
    assert last["gaps"] == [{"page": page, "reason": "The page is damaged."} for page in (7, 30)]
    assert (last["usage"]["calls"], last["usage"]["tokens_in"]) == (58, 580)
    assert last["estimated_seconds_remaining"] is None
    assert last["started_at"].endswith("Z")
    assert last["ended_at"] >= last["started_at"] >= last["created_at"]


async def test_a_cancel_is_announced_and_keeps_its_answer(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    await fleet.plan(3)
    status, answer = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert status == 200
    assert (answer["status"], answer["cancelled"], answer["stopped"]) == ("cancelled", True, {"pages": 3, "batches": 1})
    announced: Any = await gateway.app.redis.xrange("control")
    [(_, told)] = announced
    assert (told["action"], told["job"]) == ("cancel", f"local/{accepted['job_id']}")
    status, again = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert (status, again["cancelled"], again["stopped"]["pages"]) == (200, True, 0)
    _, answer = await gateway.ask("GET", accepted["status_endpoint"])
    assert (answer["status"], answer["progress"]) == ("cancelled", 0)


async def test_a_cancel_after_the_end_changes_nothing(gateway: Gateway, fleet: Fleet) -> None:
    silently = f"{IMAGES}?narrate=false"
    _, accepted = await gateway.ask("POST", silently, data=json_body(PAGES), headers=JSON)
    await fleet.finish(3)
    status, answer = await gateway.ask("POST", accepted["cancel_endpoint"])
    assert (status, answer["status"], answer["cancelled"]) == (200, "completed", False)
    assert await gateway.app.redis.xlen("control") == 0


async def test_the_result_names_every_page_and_every_gap(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    await fleet.finish(60, gaps={7})
    status, result = await gateway.ask("GET", f"/documents/{accepted['job_id']}")
    assert (status, result["status"], result["total_pages"]) == (200, "partial", 60)
    assert [page["page"] for page in result["pages"]] == list(range(1, 61))
    assert result["pages"][0]["text"] == "Text of page 1."
    assert (result["pages"][6]["status"], result["pages"][6]["reason"]) == ("failed", "The page is damaged.")
    assert [(b["first_page"], b["last_page"]) for b in result["batches"]] == [(1, 25), (26, 50), (51, 60)]
    assert result["batches"][0]["summary"] == "They say this."
    assert result["summary"] == msgspec.to_builtins(SUMMARY)
    assert result["gaps"] == [{"page": 7, "reason": "The page is damaged."}]
    assert result["usage"]["calls"] == 59


async def test_the_result_is_there_while_the_job_runs_and_after_a_cancel(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    path = f"/documents/{accepted['job_id']}"
    _, result = await gateway.ask("GET", path)
    assert [page["status"] for page in result["pages"]] == ["waiting"] * 3
    assert (result["summary"], result["batches"]) == (None, [])
    await fleet.plan(3)
    await fleet.render()
    _, result = await gateway.ask("GET", path)
    assert [page["status"] for page in result["pages"]] == ["reading"] * 3
    await gateway.ask("POST", accepted["cancel_endpoint"])
    _, result = await gateway.ask("GET", path)
    assert (result["status"], [page["status"] for page in result["pages"]]) == ("cancelled", ["cancelled"] * 3)


async def test_the_result_of_a_pdf_that_nobody_opened_yet_is_empty(gateway: Gateway) -> None:
    _, accepted = await gateway.ask("POST", "/documents", data=b"%PDF-1.7")
    _, result = await gateway.ask("GET", f"/documents/{accepted['job_id']}")
    assert (result["status"], result["pages"], result["batches"]) == ("queued", [], [])


async def test_the_report_is_markdown_where_that_is_asked_for(gateway: Gateway, fleet: Fleet) -> None:
    _, accepted = await gateway.submit()
    await fleet.finish(3, gaps={2})
    status, text = await gateway.ask(
        "GET", f"/documents/{accepted['job_id']}", headers={"Accept": "text/markdown, */*;q=0.1"}
    )
    assert (status, gateway.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert text.startswith("# The whole [p. 1]\n")
    assert "- [p. 2] The page is damaged." in text
    assert "- They say this. [pp. 1, 3]" in text


async def test_a_result_that_cannot_be_read_to_its_end_breaks_off_instead_of_looking_whole(
    gateway: Gateway, fleet: Fleet
) -> None:
    _, accepted = await gateway.submit(PAGES * 20)
    await fleet.finish(60)
    job = await gateway.app.jobs.get(f"local/{accepted['job_id']}")
    assert job is not None
    record = (await gateway.app.jobs.pages(job, [50]))[0]
    blob = gateway.app.blobs.root / record.blob
    blob.unlink()
    blob.symlink_to(blob)  # there, and not to be opened
    with pytest.raises(ClientPayloadError):
        await gateway.ask("GET", f"/documents/{accepted['job_id']}")


async def test_the_stats_say_what_waits_where(gateway: Gateway, fleet: Fleet) -> None:
    await gateway.submit()
    await gateway.app.liveness.give()
    status, stats = await gateway.ask("GET", "/batch-stats")
    assert status == 200
    assert [stream["stream"] for stream in stats["streams"]] == [fact.stream for fact in FACTS]
    assert (stats["streams"][0]["backlog"], stats["streams"][0]["waiting"]) == (1, 1)
    assert [service["service"] for service in stats["services"]] == ["gateway"]
    assert stats["jobs"] == {"queued": 1}
    assert stats["pages_per_second"] == 0
    await fleet.finish(3)
    _, stats = await gateway.ask("GET", "/batch-stats")
    assert stats["pages_per_second"] > 0
    assert stats["jobs"] == {}


async def test_health_is_degraded_while_a_service_is_missing(gateway: Gateway) -> None:
    status, answer = await gateway.ask("GET", "/health")
    assert (status, answer["status"]) == (200, "degraded")
    assert any("page_worker" in problem for problem in answer["problems"])
    for service in ("splitter", "page_worker", "aggregator", "tts"):
        await Liveness(gateway.app.redis, service=service, worker=service).give()
    status, answer = await gateway.ask("GET", "/health")
    assert (status, answer["status"], answer["problems"]) == (200, "healthy", [])
    assert answer["dependencies"] == {"redis": "up", "blobs": "up", "model": "unknown"}
    assert answer["workers"]["page_worker"] == 1
    assert gateway.files() == []


async def test_the_fleets_own_routes_are_on_the_main_port(gateway: Gateway) -> None:
    assert await gateway.ask("GET", "/livez") == (200, {"status": "alive"})
    assert (await gateway.ask("GET", "/readyz"))[0] == 200
    status, metrics = await gateway.ask("GET", "/metrics")
    assert status == 200
    assert "quire_" in metrics

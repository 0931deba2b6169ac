"""The limits of a key, counted for all gateways together; and what a fleet with too much to do answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.gateway import keyring
from shared import bus
from shared.events import DocSubmitted
from shared.records import Job
from tests.conftest import eventually
from tests.integration.gateways import PAGES, PDF, Fleet, Gateway, Keys, json_body, running
from tests.servers import embedded

DOCUMENT = b"%PDF-1.7 ..."


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path, keys: Keys) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path, api_keys_file=str(keys.path)) as started:
        yield started


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "LOOK_S", 0.0)


async def job(gateway: Gateway, tenant: str, job_id: str) -> Job:
    found = await gateway.app.jobs.get(f"{tenant}/{job_id}")
    assert found is not None
    return found


# Requests a second -------------------------------------------------------------------------------------------------


async def test_two_gateways_share_a_keys_requests_and_tell_what_is_left(
    redis: Redis, redis_url: str, tmp_path: Path, keys: Keys
) -> None:
    ann, bob = keys.add("ann", requests_per_s=0.01, burst=3), keys.add("bob")
    async with (
        running(redis, redis_url, tmp_path, api_keys_file=str(keys.path)) as one,
        running(redis, redis_url, tmp_path, api_keys_file=str(keys.path)) as two,
    ):
        for left, gateway in ((2, one), (1, two), (0, one)):
            status, _ = await gateway.ask("GET", "/batch-stats", headers=ann)
            assert (status, gateway.headers["RateLimit-Policy"]) == (200, '"requests";q=3;w=300')
            told, _, reset_s = gateway.headers["RateLimit"].rpartition(";t=")
            assert told == f'"requests";r={left}'
            assert 0 <= 100 * (3 - left) - int(reset_s) <= 5
        status, problem = await two.ask("GET", "/batch-stats", headers=ann)
        assert (status, problem["type"]) == (429, "/errors/too-many-requests")
        assert (problem["limit_requests_per_s"], problem["limit_burst"]) == (0.01, 3)
        assert 95 <= int(two.headers["Retry-After"]) == problem["retry_after_s"] <= 100
        assert two.headers["RateLimit"].startswith('"requests";r=0;t=')
        assert (await two.ask("GET", "/livez"))[0] == 200
        assert (await two.ask("GET", "/batch-stats", headers=bob))[0] == 200
        assert "RateLimit" not in two.headers


async def test_requests_are_allowed_again_as_time_passes(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann", requests_per_s=5, burst=1)

    async def status() -> int:
        return (await gateway.ask("GET", "/batch-stats", headers=ann))[0]

    await eventually(status, until=lambda found: found == 429)
    await eventually(status, until=lambda found: found == 200)


# Active jobs -------------------------------------------------------------------------------------------------------


async def test_a_key_has_so_many_active_jobs_and_another_when_one_has_ended(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann", active_jobs=2)
    fleet = Fleet(gateway.app)
    _, first = await gateway.submit(headers=ann)
    assert gateway.headers["RateLimit"] == '"active-jobs";r=1'
    assert gateway.headers["RateLimit-Policy"] == '"active-jobs";q=2;qu="jobs"'
    await fleet.plan(3)
    await gateway.submit(headers=ann)
    files = gateway.files()
    status, problem = await gateway.submit(headers=ann)
    assert (status, problem["type"], problem["limit_active_jobs"]) == (429, "/errors/too-many-active-jobs", 2)
    assert int(gateway.headers["Retry-After"]) > 0
    assert gateway.files() == files
    assert (await gateway.ask("GET", first["status_endpoint"], headers=ann))[0] == 200
    assert (await gateway.ask("POST", first["cancel_endpoint"], headers=ann))[0] == 200
    assert (await gateway.submit(headers=ann))[0] == 202
    assert (await gateway.submit(headers=ann))[0] == 429


async def test_of_many_documents_at_once_no_more_than_allowed_become_jobs(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann", active_jobs=2)
    await gateway.ask("GET", "/batch-stats", headers=ann)  # the key is known: while its file is read, others go on
    answers = await asyncio.gather(*(gateway.submit(headers=ann) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [202] * 2 + [429] * 6
    assert len(gateway.files()) == 2 * len(PAGES)


# Pages a day -------------------------------------------------------------------------------------------------------


async def test_pages_of_a_day_are_counted_once_and_refused_when_they_are_used_up(gateway: Gateway, keys: Keys) -> None:
    ann, job_id = keys.add("ann", pages_per_day=5), str(uuid.uuid4())
    for again in (None, "true"):
        status, _ = await gateway.submit(job_id=job_id, headers=ann)
        assert (status, gateway.headers.get("Idempotent-Replayed")) == (202, again)
        assert gateway.headers["RateLimit"].startswith('"pages-per-day";r=2;t=')
        assert gateway.headers["RateLimit-Policy"] == '"pages-per-day";q=5;qu="pages";w=86400'
    assert (await gateway.submit(PAGES[:1], job_id=job_id, headers=ann))[0] == 409
    status, problem = await gateway.submit(headers=ann)
    assert (status, problem["type"]) == (429, "/errors/pages-used-up")
    assert (problem["limit_pages_per_day"], problem["left_pages"], problem["reserved_pages"]) == (5, 2, 0)
    assert 0 < problem["retry_after_s"] <= 86_400
    assert len(gateway.files()) == len(PAGES)
    assert (await gateway.submit(PAGES[:2], headers=ann))[0] == 202
    assert gateway.headers["RateLimit"].startswith('"pages-per-day";r=0;')
    status, problem = await gateway.submit(PAGES[:1], headers=ann)
    assert (status, problem["left_pages"]) == (429, 0)


@pytest.mark.parametrize(("selected", "third", "left"), [(10, 60, 20), (40, 50, 0)])
async def test_a_pdf_holds_the_pages_that_it_may_have_until_they_are_counted(
    gateway: Gateway, keys: Keys, selected: int, third: int, left: int
) -> None:
    ann = {**keys.add("ann", pages_per_day=100, pages_per_document=60), **PDF}
    _, accepted = await gateway.ask("POST", "/documents", data=DOCUMENT, headers=ann)
    assert (await job(gateway, "ann", accepted["job_id"])).max_pages == 60
    status, problem = await gateway.ask("POST", "/documents", data=DOCUMENT, headers=ann)
    assert (status, problem["left_pages"], problem["reserved_pages"], problem["retry_after_s"]) == (429, 40, 60, 2)
    status, _ = await gateway.ask("POST", f"/documents?pages=1-{selected}", data=DOCUMENT, headers=ann)
    assert status == 202
    await Fleet(gateway.app).plan(10)
    status, accepted = await gateway.ask("POST", "/documents", data=DOCUMENT, headers=ann)
    assert status == 202
    assert (await job(gateway, "ann", accepted["job_id"])).max_pages == third
    assert gateway.headers["RateLimit"].startswith(f'"pages-per-day";r={left};')


async def test_what_is_left_of_a_day_is_what_a_pdf_may_have(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann", pages_per_day=5)
    await gateway.submit(headers=ann)
    _, accepted = await gateway.ask("POST", "/documents", data=DOCUMENT, headers={**ann, **PDF})
    assert (await job(gateway, "ann", accepted["job_id"])).max_pages == 2


async def test_a_document_that_could_not_be_stored_counts_for_nothing(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann", pages_per_day=5, active_jobs=1)
    await gateway.app.redis.rename(DocSubmitted.stream, "aside")
    await gateway.app.redis.set(DocSubmitted.stream, "in the way")
    assert (await gateway.submit(headers=ann))[0] == 503
    await gateway.app.redis.rename("aside", DocSubmitted.stream)
    assert (await gateway.submit(headers=ann))[0] == 202
    assert '"pages-per-day";r=2;' in gateway.headers["RateLimit"]


# Sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "path", "slug"),
    [
        ({"body_bytes": 10}, "/documents", "body-too-large"),
        ({"pages_per_document": 2}, "/documents?pages=1-3", "too-many-pages"),
        ({"pages_per_document": 2}, "/process-large-document", "too-many-pages"),
    ],
)
async def test_a_keys_own_sizes_hold(
    gateway: Gateway, keys: Keys, limits: dict[str, int], path: str, slug: str
) -> None:
    ann = keys.add("ann", **limits)
    body, kind = (DOCUMENT, PDF) if "documents" in path else (json_body(PAGES), {"Content-Type": "application/json"})
    status, problem = await gateway.ask("POST", path, data=body, headers={**ann, **kind})
    assert (status, problem["type"]) == (413, f"/errors/{slug}")
    assert min(limits.values()) in problem.values()
    assert gateway.files() == []


# Too much to do ----------------------------------------------------------------------------------------------------


async def test_while_too_much_waits_documents_are_refused_and_what_was_accepted_goes_on(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    async with running(redis, redis_url, tmp_path) as gateway:
        _, accepted = await gateway.submit(PAGES * 20)
        fleet = Fleet(gateway.app)
        await fleet.plan(60)
    async with running(redis, redis_url, tmp_path, max_backlog_pages=60) as gateway:
        files = gateway.files()
        status, problem = await gateway.submit()
        assert (status, problem["type"]) == (503, "/errors/overloaded")
        assert (problem["backlog_pages"], problem["limit_pages"]) == (75, 60)  # whole batches, until they are rendered
        assert 5 <= int(gateway.headers["Retry-After"]) <= 300
        assert gateway.files() == files
        fleet = Fleet(gateway.app)
        await fleet.finish(60)
        assert (await gateway.ask("GET", accepted["status_endpoint"]))[1]["status"] == "completed"
    async with running(redis, redis_url, tmp_path, max_backlog_pages=60) as gateway:
        assert (await gateway.submit())[0] == 202


async def test_while_redis_has_little_memory_left_documents_are_refused(tmp_path: Path) -> None:
    with embedded() as url:
        async with bus.connect(url) as client, running(client, url, tmp_path) as gateway:
            used = (await client.info("memory"))["used_memory"]
            await client.config_set("maxmemory", int(used * 1.05))
            status, problem = await gateway.submit()
            assert (status, problem["type"]) == (503, "/errors/overloaded")
            assert problem["memory_used_bytes"] >= 0.9 * problem["memory_limit_bytes"]
            assert gateway.files() == []
            await client.config_set("maxmemory", 0)

            async def status_again() -> int:
                return (await gateway.submit())[0]

            await eventually(status_again, until=lambda found: found == 202)

"""Nobody reads another's document: keys, tenants, and what strangers are told."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from services.gateway import access, keyring
from services.gateway.routes import application
from shared.settings import SettingsError
from tests.conftest import eventually
from tests.integration.gateways import IMAGES, JSON, PAGES, PDF, Fleet, Gateway, Keys, json_body, running

NOBODY = "7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01"


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


def addresses(gateway: Gateway) -> list[tuple[str, str]]:
    """Method and address of every route that there is."""
    router = application(gateway.app, gateway.in_hand, "always").router
    return [(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None]


def filled(path: str, job_id: str) -> str:
    """The address with this job in it, and 1 for all else that it leaves open."""
    parts = (job_id if part == "{job_id}" else "1" if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


async def test_every_route_asks_for_a_key_but_those_that_hold_nothing(gateway: Gateway) -> None:
    for headers in ({}, {"Authorization": "Bearer quire_wrong"}, {"Authorization": "Basic cXVpcmU6"}):
        for method, path in addresses(gateway):
            status, answer = await gateway.ask(method, filled(path, NOBODY), headers=headers)
            if path in access.OPEN:
                assert status == 200, path
                continue
            assert status == 401, (method, path)
            assert gateway.headers["WWW-Authenticate"].startswith('Bearer realm="quire"')
            assert method == "HEAD" or answer["type"] == "/errors/unauthorized"
    status, _ = await gateway.ask("GET", "/nowhere")
    assert status == 401
    assert gateway.files() == []


async def test_strangers_learn_whether_it_is_well_and_no_more(gateway: Gateway, keys: Keys) -> None:
    (gateway.app.blobs.root / "uploads").write_text("in the way")
    assert await gateway.ask("GET", "/health") == (503, {"status": "unhealthy"})
    assert await gateway.ask("GET", "/readyz") == (503, {"status": "unready"})
    ann = keys.add("ann")
    _, health = await gateway.ask("GET", "/health", headers=ann)
    _, ready = await gateway.ask("GET", "/readyz", headers=ann)
    assert "blob store" in health["problems"][0]
    assert "blob store" in ready["problems"][0]


async def test_a_strangers_job_answers_as_if_it_did_not_exist_on_every_route(gateway: Gateway, keys: Keys) -> None:
    ann, bob = keys.add("ann"), keys.add("bob")
    _, accepted = await gateway.submit(headers=ann)
    job = accepted["job_id"]
    await Fleet(gateway.app).finish(3)
    walked = [(method, path) for method, path in addresses(gateway) if "{job_id}" in path]
    assert len(walked) >= 5
    for method, path in walked:
        answers = []
        for asked in (job, NOBODY):
            async with asyncio.timeout(5):
                status, answer = await gateway.ask(
                    method,
                    filled(path, asked),
                    headers={**bob, "X-Request-Id": "7", "Content-Type": "application/json"},
                )
            told = {name: value for name, value in gateway.headers.items() if name not in ("Date", "Content-Length")}
            answers.append((status, str(answer).replace(asked, ""), told))
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] == (204 if method == "DELETE" else 404), (method, path)
    assert (await gateway.ask("GET", f"/batch-status/{job}", headers=ann))[1]["status"] == "completed"
    assert (await gateway.ask("GET", f"/documents/{job}", headers=ann))[1]["summary"]["title"] == "The whole"


async def test_two_keys_of_a_tenant_see_the_same_jobs(gateway: Gateway, keys: Keys) -> None:
    _, accepted = await gateway.submit(headers=keys.add("web", tenant="acme"))
    status, _ = await gateway.ask("GET", accepted["status_endpoint"], headers=keys.add("cron", tenant="acme"))
    assert status == 200


async def test_the_same_id_of_two_tenants_makes_two_jobs(gateway: Gateway, keys: Keys) -> None:
    ann, bob, job = keys.add("ann"), keys.add("bob"), str(uuid.uuid4())
    for who, pages in ((ann, PAGES), (bob, PAGES[:2])):
        status, _ = await gateway.submit(pages, job_id=job, headers=who)
        assert (status, gateway.headers.get("Idempotent-Replayed")) == (202, None)
        _, told = await gateway.ask("GET", f"/batch-status/{job}", headers=who)
        assert told["job_id"] == job
    owned = [await gateway.app.jobs.get(f"{tenant}/{job}") for tenant in ("ann", "bob")]
    assert [known.pages for known in owned if known] == [3, 2]
    ids = [(await gateway.submit(headers={**who, "Idempotency-Key": "7"}))[1]["job_id"] for who in (ann, bob)]
    assert ids[0] != ids[1]


async def test_keys_are_read_again_without_a_restart(gateway: Gateway, keys: Keys) -> None:
    ann = keys.add("ann")
    assert (await gateway.ask("GET", "/batch-stats", headers=ann))[0] == 200
    keys.revoke("ann")
    status, problem = await gateway.ask("GET", "/batch-stats", headers=ann)
    assert (status, "revoked" in problem["detail"]) == (401, True)
    assert 'error="invalid_token"' in gateway.headers["WWW-Authenticate"]


async def test_a_revoked_key_is_refused_within_the_time_that_is_promised(
    gateway: Gateway, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = keys.add("ann")
    await gateway.ask("GET", "/batch-stats", headers=ann)
    monkeypatch.setattr(keyring, "LOOK_S", 1.0)
    keys.revoke("ann")

    async def asked() -> int:
        return (await gateway.ask("GET", "/batch-stats", headers=ann))[0]

    await eventually(asked, within_s=3, until=lambda status: status == 401)


@pytest.mark.parametrize("breakage", ["not JSON", "a limit that is not known", "gone"])
async def test_a_key_file_that_breaks_leaves_the_last_good_keys_and_is_told(
    gateway: Gateway, keys: Keys, breakage: str
) -> None:
    ann = keys.add("ann", requests_per_s=1000)
    assert (await gateway.ask("GET", "/batch-stats", headers=ann))[0] == 200
    good = keys.path.read_text()
    match breakage:
        case "gone":
            keys.path.unlink()
        case "not JSON":
            keys.path.write_text(good[:-5])
        case _:
            keys.path.write_text(good.replace("requests_per_s", "requests_per_minute"))
    _, health = await gateway.ask("GET", "/health", headers=ann)
    (told,) = [sentence for sentence in health["problems"] if "API_KEYS_FILE" in sentence]
    assert "The 1 keys that were read before hold." in told
    assert health["status"] == "degraded"
    keys.path.write_text(good)
    _, health = await gateway.ask("GET", "/health", headers=ann)
    assert "API_KEYS_FILE" not in str(health["problems"])


@pytest.mark.parametrize("content", [None, "{", '{"keys": [{"name": "a"}]}'])
async def test_a_gateway_does_not_start_without_the_keys_it_was_told_to_use(
    redis: Redis, redis_url: str, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"API_KEYS_FILE: .*keys\.json: it .*; make a key with"):
        async with running(redis, redis_url, tmp_path, api_keys_file=str(path)):
            pass


async def test_no_secret_and_no_page_content_is_logged(
    gateway: Gateway, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ann = keys.add("ann")
    secret = ann["Authorization"].partition(" ")[2]
    secret_page = b"\xff\xd8\xff the secret of the page"
    await gateway.submit([secret_page], headers=ann, user_id="secret-user")
    await gateway.submit([b"the secret of the page"], headers=ann)
    await gateway.ask("GET", "/nowhere?token=secret", headers=ann)
    await gateway.ask("POST", "/documents?user_id=secret", data=b"%PDF-1.7 secret", headers={**ann, **PDF})
    await gateway.ask("POST", IMAGES, data=json_body(PAGES), headers={**JSON, "Authorization": "Bearer quire_secret"})
    lines = [
        f"{record.getMessage()} {vars(record)}" for record in caplog.records if record.name.startswith("services.")
    ]
    assert len(lines) >= 4
    assert not [line for line in lines if secret in line or "secret" in line]


# Nobody is asked for a key -----------------------------------------------------------------------------------------


ALONE: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("changes", "headers", "status", "slug"),
    [
        (ALONE, {"Host": "evil.example"}, 421, "foreign-host"),
        (ALONE, {"Host": "127.0.0.1.evil.example:8080"}, 421, "foreign-host"),
        (ALONE, {"Host": "user@127.0.0.1"}, 421, "foreign-host"),
        (ALONE, {"Host": "localhost:8080", "Origin": "https://evil.example"}, 403, "foreign-origin"),
        (ALONE, {"Host": "localhost:8080", "Origin": "null"}, 403, "foreign-origin"),
        (ALONE, {"Host": "localhost:8080", "Origin": "http://localhost:8080"}, 202, ""),
        (ALONE, {"Host": "[::1]:8080"}, 202, ""),
        ({"cors_origins": "https://app.example"}, {"Origin": "https://app.example"}, 202, ""),
        ({"allow_open_access": True}, {"Host": "quire.example"}, 202, ""),
    ],
)
async def test_without_keys_another_sites_page_can_do_nothing_here(
    redis: Redis,
    redis_url: str,
    tmp_path: Path,
    changes: dict[str, Any],
    headers: dict[str, str],
    status: int,
    slug: str,
) -> None:
    async with running(redis, redis_url, tmp_path, **changes) as gateway:
        found, answer = await gateway.submit(headers=headers)
        assert (found, answer.get("type", "")) == (status, f"/errors/{slug}" if slug else "")

"""Who may pass, and what is told of limits and load. All pure."""

from __future__ import annotations

import msgspec
import pytest

from services.gateway import access, pressure
from services.gateway.cors import Origins
from services.gateway.pressure import Load
from services.gateway.problems import Problem
from services.gateway.quotas import UNDER_WAY_MS, Reservation, counted
from services.gateway.ratelimits import Meter
from shared.records import Job

JOB = Job(
    ref="ann/7",
    run="r",
    status="processing",
    kind="pdf",
    source="s",
    fingerprint="f",
    batch_size=25,
    created_ms=1,
    pages=40,
)
IDLE = Load(backlog_pages=0, pages_per_s=0, memory_used=1, memory_limit=0)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (["Bearer quire_x"], "quire_x"),
        (["bearer  quire_x "], "quire_x"),
        ([], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["quire_x"], None),
        (["Basic cXVpcmU6"], None),
        (["Bearer quire_x", "Bearer quire_y"], None),
    ],
)
def test_a_token_is_what_a_single_bearer_header_holds(headers: list[str], token: str | None) -> None:
    assert access.bearer(headers) == token


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "a.localhost", "127.9.9.9"]
)
def test_this_machines_names_are_answered_to(host: str) -> None:
    access.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "a@127.0.0.1",
        "127.0.0.1/a",
        "[::1",
        "10.0.0.1",
    ],
)
def test_other_names_are_not(host: str) -> None:
    with pytest.raises(Problem, match="The Host is") as refused:
        access.check_host(host)
    assert refused.value.status == 421


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://localhost:8080", True),
        ("https://app.example", True),
        ("http://localhost:9090", False),
        ("http://evil.example", False),
        ("null", False),
        ("localhost:8080", False),
    ],
)
def test_a_page_may_change_things_where_it_is_ours_or_named(origin: str | None, allowed: bool) -> None:
    refusal = None
    try:
        access.check_origin(origin, "localhost:8080", Origins("https://app.example"))
    except Problem as problem:
        refusal = problem.slug
    assert refusal == (None if allowed else "foreign-origin")


@pytest.mark.parametrize(
    ("meter", "policy", "left"),
    [
        (
            Meter(policy="requests", quota=40, left=39, window_s=2.0, reset_s=0.05),
            '"requests";q=40;w=2',
            '"requests";r=39;t=1',
        ),
        (Meter(policy="active-jobs", unit="jobs", quota=2, left=0), '"active-jobs";q=2;qu="jobs"', '"active-jobs";r=0'),
    ],
)
def test_a_limit_is_told_as_structured_fields(meter: Meter, policy: str, left: str) -> None:
    assert (meter.says_policy(), meter.says_left()) == (policy, left)


@pytest.mark.parametrize(
    ("job", "age_ms", "pages"),
    [
        (JOB, 0, 40),
        (msgspec.structs.replace(JOB, status="cancelled"), 0, 40),
        (msgspec.structs.replace(JOB, pages=0, status="queued"), 10 * UNDER_WAY_MS, None),
        (msgspec.structs.replace(JOB, pages=0, status="failed"), 0, 0),
        (msgspec.structs.replace(JOB, run="another"), 0, 0),
        (None, UNDER_WAY_MS, None),
        (None, UNDER_WAY_MS + 1, 60),
    ],
)
def test_a_reservation_comes_to_the_pages_of_its_job(job: Job | None, age_ms: int, pages: int | None) -> None:
    held = Reservation(job="ann/7", pages=60, day=1, ms=1000)
    assert counted(held, "r", job, now_ms=1000 + age_ms) == pages


@pytest.mark.parametrize(
    ("changes", "retry_after_s"),
    [
        ({}, None),
        ({"backlog_pages": 999}, None),
        ({"backlog_pages": 1000, "pages_per_s": 10.0}, 5),
        ({"backlog_pages": 1999, "pages_per_s": 10.0}, 100),
        ({"backlog_pages": 1000}, 300),
        ({"memory_used": 89, "memory_limit": 100}, None),
        ({"memory_used": 90, "memory_limit": 100}, 30),
    ],
)
def test_documents_wait_while_there_is_too_much_to_do(changes: dict[str, float], retry_after_s: int | None) -> None:
    problem = pressure.verdict(msgspec.structs.replace(IDLE, **changes), most_pages=1000)
    assert (problem and problem.slug) == (None if retry_after_s is None else "overloaded")
    assert (problem and problem.members["retry_after_s"]) == retry_after_s

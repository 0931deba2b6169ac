"""What the gateway makes of names, settings, dependencies and records. All pure."""

from __future__ import annotations

import uuid

import msgspec
import pytest

from services.gateway import cancelling, checkup, documents, names, submissions
from services.gateway.configuration import GatewaySettings, check_access
from services.gateway.problems import Problem
from services.gateway.submissions import Fleet
from shared import settings
from shared.pauses import LimitStats
from shared.records import BatchRecord, Job, PageRecord
from shared.results import BatchSummary, Cited, PageAnalysis
from shared.settings import SettingsError
from shared.submission import Cancelled

ID = "7f0c9f3e-9d53-4e1f-8ce5-3a3a3f7b9a01"
JOB = Job(
    ref=f"local/{ID}",
    run="r",
    status="processing",
    kind="images",
    source="s",
    fingerprint="f",
    batch_size=25,
    created_ms=1,
    pages=100,
)
READ = PageAnalysis(
    text="Text.",
    headings=["One"],
    summary="It says text.",
    key_points=["Text"],
    tables=[],
    figures=[],
    language="en",
    kind="text",
    confidence=0.9,
)


# Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [ID, ID.upper(), ID.replace("-", "")])
def test_a_job_id_may_be_written_in_any_usual_way(written: str) -> None:
    assert names.job_id(written, None, tenant="local") == ID
    assert names.known_ref(written, tenant="local") == f"local/{ID}"


@pytest.mark.parametrize("written", ["7", "{" + ID + "}", f"urn:uuid:{ID}", "x" * 36, "z" * 32, ID[:-1]])
def test_what_is_no_uuid_is_refused_as_an_id_and_unknown_as_an_address(written: str) -> None:
    with pytest.raises(Problem, match="is not a UUID") as refused:
        names.job_id(written, None, tenant="local")
    assert refused.value.status == 422
    with pytest.raises(Problem) as unknown:
        names.known_ref(written, tenant="local")
    assert unknown.value.status == 404


def test_an_idempotency_key_names_one_job_and_a_job_id_comes_first() -> None:
    derived = names.job_id(None, "invoice-7", tenant="local")
    assert (
        derived
        == names.job_id("", "invoice-7", tenant="local")
        == str(uuid.uuid5(uuid.NAMESPACE_URL, "local:invoice-7"))
    )
    assert derived != names.job_id(None, "invoice-8", tenant="local")
    assert names.job_id(ID, "invoice-7", tenant="local") == ID
    assert names.job_id(None, None, tenant="local") != names.job_id(None, None, tenant="local")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_has_1_to_255_characters(key: str) -> None:
    with pytest.raises(Problem, match=f"Idempotency-Key has {len(key)} characters"):
        names.job_id(None, key, tenant="local")


def test_a_user_is_a_short_label_or_nothing() -> None:
    assert names.user(None) == ""
    assert names.user("u" * 200) == "u" * 200
    with pytest.raises(Problem, match="user_id has 201 characters: send up to 200"):
        names.user("u" * 201)


# Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_may_ask_without_a_key(host: str) -> None:
    check_access(GatewaySettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org", ""])
def test_other_machines_may_not_ask_without_a_key_unless_that_is_wanted(host: str) -> None:
    with pytest.raises(SettingsError, match="ALLOW_OPEN_ACCESS=1"):
        check_access(GatewaySettings(host=host))
    check_access(GatewaySettings(host=host, allow_open_access=True))


def test_the_settings_come_from_the_environment() -> None:
    values = settings.load(GatewaySettings, {"BATCH_SIZE": "10", "ALLOW_OPEN_ACCESS": "1", "PAGE_MODEL": "m"})
    assert (values.batch_size, values.allow_open_access, values.models, values.port) == (10, True, ["m"], 8080)
    with pytest.raises(SettingsError, match="BATCH_SIZE"):
        settings.load(GatewaySettings, {"BATCH_SIZE": "0"})


# Submissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "strategy", "batches", "minutes"),
    [(1, "single_batch", 1, 1), (50, "single_batch", 1, 2), (51, "batch_parallel", 3, 2), (0, None, None, None)],
)
def test_a_document_of_up_to_50_pages_is_one_batch(
    pages: int, strategy: str | None, batches: int | None, minutes: int | None
) -> None:
    values = GatewaySettings()
    answer = submissions.accepted(values, ID, pages, Fleet(pages_per_s=0.5, slots=64))
    assert (answer.processing_strategy, answer.estimated_batches, answer.batch_size) == (strategy, batches, 25)
    assert answer.estimated_completion_minutes == minutes
    assert (answer.status_endpoint, answer.cancel_endpoint) == (f"/batch-status/{ID}", f"/cancel-job/{ID}")


@pytest.mark.parametrize(("pages", "strategy", "batches"), [(10, "single_batch", 1), (11, "batch_parallel", 2)])
def test_a_batch_size_that_was_asked_for_holds_for_short_documents_too(pages: int, strategy: str, batches: int) -> None:
    answer = submissions.accepted(GatewaySettings(), ID, pages, Fleet(pages_per_s=0, slots=0), batch_size=10)
    assert (answer.processing_strategy, answer.estimated_batches, answer.batch_size) == (strategy, batches, 10)


# Cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "status", "cancelled", "told"),
    [
        ("processing", "cancelled", True, f"1,200 pages will not be read. What was read is at /documents/{ID}."),
        ("cancelled", "cancelled", True, "had been cancelled before"),
        ("completed", "completed", False, "it is completed"),
    ],
)
def test_a_cancel_is_answered_with_the_real_status(was: str, status: str, cancelled: bool, told: str) -> None:
    stopped = 1200 if was != status else 0
    answer = cancelling.told(
        ID, Cancelled(was=was, status=status, run="r", stopped_pages=stopped, stopped_batches=stopped // 25)
    )
    assert (answer.status, answer.cancelled, answer.stopped.pages) == (status, cancelled, stopped)
    assert told in answer.message


# Health ----------------------------------------------------------------------------------------------------------

ALIVE = {"splitter": 2, "page_worker": 1, "aggregator": 1, "tts": 1, "keeper": 1}


def model(state: str, why: str = "") -> LimitStats:
    return LimitStats(model="m", rpm=0, tpm=0, state=state, why=why)


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({}, "healthy", None),
        ({"models": [model("open")]}, "healthy", None),
        ({"models": [model("probing")]}, "healthy", None),
        ({"workers": {"splitter": 1, "aggregator": 1, "tts": 1}}, "degraded", "No page_worker is alive"),
        (
            {"models": [model("open"), model("stopped", "The key is refused.")]},
            "degraded",
            "stopped: The key is refused.",
        ),
        ({"models": [model("down")]}, "degraded", "The model m is down: no reason is known"),
        ({"warnings": ["Redis has no append-only file"]}, "degraded", "Redis has no append-only file"),
        ({"blobs": ["The blob store cannot be written: full"]}, "unhealthy", "full"),
        ({"redis": ["Redis does not answer: refused"], "workers": {}}, "unhealthy", "Redis does not answer"),
    ],
)
def test_health_has_a_sentence_for_each_thing_that_ails(
    changes: dict[str, object], status: str, problem: str | None
) -> None:
    well: dict[str, object] = {"redis": [], "blobs": [], "warnings": [], "workers": ALIVE, "models": []}
    answer = checkup.verdict("always", **{**well, **changes})  # type: ignore[arg-type]  # the table's values fit
    assert answer.status == status
    assert len(answer.problems) == (0 if problem is None else 1)
    assert problem is None or problem in answer.problems[0]


def test_health_tells_the_worst_of_the_models() -> None:
    def told(*states: str) -> str:
        models = [model(state) for state in states]
        return checkup.verdict(
            "always", redis=[], blobs=[], warnings=[], workers=ALIVE, models=models
        ).dependencies.model

    assert [told(), told("probing"), told("open"), told("open", "paused"), told("down", "stopped")] == [
        "unknown",
        "unknown",
        "up",
        "paused",
        "stopped",
    ]


# Results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "analysis", "job_status", "status", "reason"),
    [
        (PageRecord(ordinal=6, page=7, blob="b", cached=True), READ, "processing", "done", None),
        (PageRecord(ordinal=6, page=7, blob="b"), None, "completed", "failed", documents.LOST),
        (PageRecord(ordinal=6, page=7, reason="Damaged."), None, "processing", "failed", "Damaged."),
        (PageRecord(ordinal=6, page=7, blank=True), None, "processing", "done", None),
        (PageRecord(ordinal=6, page=7, reading=True), None, "processing", "reading", None),
        (PageRecord(ordinal=6, page=7), None, "processing", "waiting", None),
        (PageRecord(ordinal=6, page=7), None, "cancelled", "cancelled", None),
    ],
)
def test_a_page_of_the_result_has_its_status(
    record: PageRecord, analysis: PageAnalysis | None, job_status: str, status: str, reason: str | None
) -> None:
    page = documents.page(msgspec.structs.replace(JOB, status=job_status), record, analysis)
    assert (page.page, page.status, page.reason, page.cached, page.blank) == (
        7,
        status,
        reason,
        record.cached,
        record.blank,
    )
    assert page.text == ("Text." if analysis else "" if record.blank else None)


def test_a_batch_of_the_result_has_its_summary_as_text_and_as_statements() -> None:
    statements = [Cited(text="One.", pages=[1]), Cited(text="Two.", pages=[2])]
    told = documents.batch(
        BatchRecord(batch=3, blob="b"), BatchSummary(title="T", statements=statements), first_page=76, last_page=100
    )
    assert (told.summary, told.statements, told.first_page, told.last_page) == ("One. Two.", statements, 76, 100)
    failed = documents.batch(BatchRecord(batch=3, failed="All gaps."), None, first_page=76, last_page=100)
    assert (failed.summary, failed.reason) == (None, "All gaps.")
    assert documents.batch(BatchRecord(batch=3), None, first_page=76, last_page=100).reason is None

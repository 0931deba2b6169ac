"""Facts as another release writes them: unknown fields are ignored, missing ones have their defaults."""

from __future__ import annotations

import msgspec
import pytest

from shared.events import (
    FACTS,
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    Fact,
    PageAnalyzed,
    PageRequested,
)

JOB = {"job": "local/0d9c", "run": "5e62a8819995"}

# As the scripts of 0.1.0 (revision 5159bbe) append them.
WRITTEN: list[tuple[dict[str, str], Fact]] = [
    (JOB, DocSubmitted(**JOB)),
    ({**JOB, "batch": "3"}, BatchRequested(**JOB, batch=3)),
    (
        {**JOB, "ordinal": "7", "page": "8", "image": "jobs/a/7.jpg", "attempts": "2"},
        PageRequested(**JOB, ordinal=7, page=8, image="jobs/a/7.jpg", attempts=2),
    ),
    (
        {**JOB, "ordinal": "7", "page": "8", "round": "1", "image": "i", "text": "t", "crashes": "1"},
        PageRequested(**JOB, ordinal=7, page=8, round=1, image="i", text="t", crashes=1),
    ),
    (
        {**JOB, "batch": "0", "ordinal": "7", "page": "8", "round": "0", "rev": "1", "outcome": "gap", "last": "1"},
        PageAnalyzed(**JOB, batch=0, ordinal=7, page=8, outcome="gap", last=True),
    ),
    ({**JOB, "batch": "0", "rev": "2", "last": "1"}, BatchSummarized(**JOB, batch=0, rev=2, last=True)),
    ({**JOB, "rev": "1", "summary": "jobs/a/s.json"}, DocSummarized(**JOB, summary="jobs/a/s.json")),
]


def test_every_fact_is_among_them() -> None:
    assert {type(fact) for _, fact in WRITTEN} == set(FACTS)


@pytest.mark.parametrize(("fields", "fact"), WRITTEN)
def test_facts_of_the_previous_release_are_read(fields: dict[str, str], fact: Fact) -> None:
    assert type(fact).from_fields(fields) == fact


@pytest.mark.parametrize(("fields", "fact"), WRITTEN)
def test_fields_of_a_newer_release_are_ignored(fields: dict[str, str], fact: Fact) -> None:
    assert type(fact).from_fields({**fields, "colour": "red", "v": "9"}) == fact


@pytest.mark.parametrize(("fields", "fact"), WRITTEN)
def test_the_previous_release_can_read_what_this_one_writes(fields: dict[str, str], fact: Fact) -> None:
    """It reads by the same names; what is new beside them it ignores."""
    required = {field.name for field in msgspec.structs.fields(fact) if field.required}
    assert required <= set(fields), "a field without a default would make the previous release's entries unreadable"
    assert fact.to_fields().items() <= fields.items()

"""Facts on the wire."""

from __future__ import annotations

import msgspec
import pytest

from shared import events, keys
from shared.events import FACTS, PageAnalyzed, PageRequested

PAGE = PageRequested(job="local/a", run="r", ordinal=6, page=7, image="jobs/a/7.jpg", text="jobs/a/7.txt", attempts=2)


def test_a_fact_survives_the_way_through_flat_text() -> None:
    assert PageRequested.from_fields(PAGE.to_fields()) == PAGE


def test_an_entry_is_text_that_a_person_can_read() -> None:
    assert PAGE.to_fields() == {
        "job": "local/a",
        "run": "r",
        "attempts": "2",
        "ordinal": "6",
        "page": "7",
        "image": "jobs/a/7.jpg",
        "text": "jobs/a/7.txt",
    }


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert PageRequested.from_fields({**PAGE.to_fields(), "colour": "blue"}) == PAGE


def test_flags_are_digits_on_the_wire() -> None:
    fact = PageAnalyzed(job="local/a", run="r", batch=0, ordinal=0, page=1, outcome="read", last=True)
    assert fact.to_fields()["last"] == "1"
    assert PageAnalyzed.from_fields(fact.to_fields()).last is True


@pytest.mark.parametrize(
    ("fields", "what"),
    [({}, "job"), ({**PAGE.to_fields(), "page": "seven"}, "page")],
)
def test_a_missing_or_malformed_field_is_named(fields: dict[str, str], what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=what):
        PageRequested.from_fields(fields)


def test_an_entry_stays_under_512_bytes() -> None:
    job = "t" * 36 + "/123e4567-e89b-12d3-a456-426614174000"
    blob = f"jobs/{job}/0123456789ab/pages/09999"
    fact = PageRequested(
        job=job, run="0" * 12, ordinal=9999, page=10_000, round=3, image=blob + ".jpg", text=blob + ".txt", attempts=4
    )
    assert sum(len(name) + len(value) for name, value in fact.to_fields().items()) < 512


def test_each_stream_carries_one_fact_and_has_one_group() -> None:
    assert len({fact.stream for fact in FACTS}) == len(FACTS)
    assert all(fact.group for fact in FACTS)


def test_every_fact_is_listed_and_says_who_tells_and_who_listens() -> None:
    defined = [
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, events.Fact) and value is not events.Fact
    ]
    assert set(defined) == set(FACTS)
    assert all("->" in (fact.__doc__ or "") for fact in defined)


def test_pages_share_their_bodies_with_the_queue() -> None:
    assert keys.bodies("pages.requested") == keys.PAGES_BODIES
    assert keys.bodies("pages.analyzed") == "pages.analyzed.bodies"

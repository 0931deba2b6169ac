"""Which models a job needs to get further: only their outages are its own."""

from __future__ import annotations

import pytest

from services.gateway.waiting import READING, SPEAKING, SUMMARIZING, needed
from shared.records import AudioStatus, Status
from tests.unit.test_gateway_status import job


@pytest.mark.parametrize(
    ("status", "audio", "services"),
    [
        ("queued", "none", READING),
        ("processing", "none", READING),
        ("summarizing", "none", SUMMARIZING),
        ("completed", "pending", SPEAKING),
        ("partial", "speaking", SPEAKING),
        ("completed", "ready", ()),
        ("completed", "failed", ()),
        ("cancelled", "none", ()),
        ("failed", "none", ()),
    ],
)
def test_a_job_waits_for_what_it_needs_next(status: Status, audio: AudioStatus, services: tuple[str, ...]) -> None:
    assert needed(job(status=status, audio=audio)) == services

"""Whatever a service meets at whichever point: every page once, every batch once, one summary, one narration, nothing
left over, and no more calls than were in flight.
"""

from __future__ import annotations

import asyncio
import os
import signal
import zlib

import pytest

from tests import pages
from tests.faults.conftest import LEASE_S, SLOTS
from tests.faults.fleet import Fleet
from tests.faults.traps import Action, Trap

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = 8
STOPPED_S = 1.5 * LEASE_S
EXTRA = {"kill": SLOTS + 1, "stop": SLOTS + 1, "cancel": 1, "disconnect": 0, "lose": 0, "block": 0}
"""Calls that may be made again: what was in flight in the process that was hit. Of one entry only its task's own."""

QUICK: list[tuple[str, str, Action, str]] = [
    ("page_worker", "after_call", "kill", ""),
    ("page_worker", "after_record", "lose", "page_analyzed"),
    ("page_worker", "after_blob", "stop", ""),
    ("splitter", "after_record", "kill", "pages_rendered more"),
    ("aggregator", "before_batch_summary", "kill", ""),
    ("aggregator", "before_record", "disconnect", "doc_summarized"),
    ("tts", "after_call", "cancel", ""),
    ("gateway", "after_submit", "kill", ""),
]
"""Service, point, action, and what is in hand there."""


async def suffered(fleet: Fleet, trap: Trap, *, seed: int) -> None:
    """A document goes through a fleet in which the trap is set; the verdict is clean, and somebody was caught."""
    fleet.traps.set(trap)
    images = [pages.page_image(number, seed=seed) for number in range(1, PAGES + 1)]
    asked, caught = await asyncio.gather(fleet.submit(images), fleet.caught(trap))
    if trap.action == "stop":
        await asyncio.sleep(STOPPED_S)
        os.kill(caught.pid, signal.SIGCONT)
    status = await fleet.ended(asked)
    assert (status["status"], status["audio"]) == ("completed", "ready"), status
    extra = EXTRA[trap.action]
    await fleet.judged(asked, extra=extra, extra_each=min(extra, 1))


@pytest.mark.parametrize(("service", "point", "action", "match"), QUICK, ids=lambda value: value or None)
async def test_every_page_ends_once_whatever_is_met_where(
    trapped: Fleet, service: str, point: str, action: Action, match: str
) -> None:
    trap = Trap(service=service, point=point, action=action, match=match)
    await suffered(trapped, trap, seed=zlib.crc32(f"{service} {point} {action} {match}".encode()))

"""POST /cancel-job/{job_id}."""

from __future__ import annotations

from typing import cast

from services.gateway import api, names
from services.gateway.configuration import GatewaySettings
from shared.durability import Mode, durable
from shared.events import narration
from shared.records import Status
from shared.service import App
from shared.submission import Cancelled

_NARRATION = {
    "": "",
    "stopped": " Its narration was stopped.",
    "was_stopped": " Its narration had been stopped before.",
}


async def cancel(text: str, app: App[GatewaySettings], mode: Mode, *, tenant: str) -> api.Cancellation:
    """End the job, or the narration of one that has ended, and let every worker know. Raises Problem (404).

    A repeat announces again: the first answer may have been lost between the two steps.
    """
    ref = names.known_ref(text, tenant=tenant)
    async with durable(app.redis, worker=app.worker, mode=mode) as ledger:
        cancelled = await ledger.cancel(ref)
    if cancelled is None:
        raise names.unknown_job(text)
    if cancelled.status == "cancelled":
        await app.control.announce(app.redis, "cancel", ref, cancelled.run)
    elif cancelled.narration:
        await app.control.announce(app.redis, "cancel", ref, narration(cancelled.run, cancelled.rev))
    return told(ref.partition("/")[2], cancelled)


def told(job_id: str, cancelled: Cancelled) -> api.Cancellation:
    """The answer. Pure."""
    pages, batches = cancelled.stopped_pages, cancelled.stopped_batches
    if cancelled.now:
        message = f"Cancelled: {pages:,} pages will not be read. What was read is at /documents/{job_id}."
    elif cancelled.status == "cancelled":
        message = "The job had been cancelled before."
    else:
        message = f"The job had ended before: it is {cancelled.status}.{_NARRATION[cancelled.narration]}"
    return api.Cancellation(
        job_id=job_id,
        status=cast(Status, cancelled.status),  # the script's words are the job's
        cancelled=cancelled.status == "cancelled",
        stopped=api.Stopped(pages=pages, batches=batches),
        message=message,
    )

"""POST /process-large-document and POST /documents: upload -> blobs -> ledger, then 202.

Promise: what was answered with 202 is on disk, document and job (as far as the server allows: /health tells); what
was refused leaves nothing behind.
"""

from __future__ import annotations

import logging
import uuid

import msgspec
from aiohttp import web
from redis.exceptions import RedisError, ResponseError

from services.gateway import access, api, body, expecting, forms, ingest, names, options, pace, uploads
from services.gateway.admission import Admission, Room
from services.gateway.configuration import GatewaySettings
from services.gateway.ingest import Taken
from services.gateway.options import Options
from services.gateway.problems import Problem
from services.gateway.uploads import Upload
from shared import fleet
from shared.durability import Mode, durable
from shared.events import PageRequested
from shared.service import App
from shared.submission import Submission, Submitted

log = logging.getLogger(__name__)


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet can do now."""

    pages_per_s: float
    slots: int


async def submit_images(
    request: web.Request, app: App[GatewaySettings], mode: Mode, admission: Admission
) -> web.Response:
    """A JSON body with page images; options in the query."""
    _check_type(request, "application/json")
    settings, caps = app.settings, admission.caps(request)
    asked = options.of_images(request.query)
    stream = body.of(request, limit_bytes=caps.body_bytes, stall_s=settings.body_timeout_s)
    await admission.check(request)
    await expecting.go_on(request)
    async with uploads.begin(app.blobs) as upload:
        taken = await ingest.images(stream, upload, max_image_bytes=settings.max_image_bytes, max_pages=caps.pages)
        asked = msgspec.structs.replace(asked, job_id=taken.job_id, user_id=taken.user_id)
        return await _submit(request, app, mode, admission, upload, taken, asked)


async def submit_document(
    request: web.Request, app: App[GatewaySettings], mode: Mode, admission: Admission
) -> web.Response:
    """A PDF, as the body or as the multipart field `file`; options in the query or as fields beside it."""
    _check_type(request, "application/pdf", "application/octet-stream", "multipart/form-data")
    limit_bytes, stall_s = admission.caps(request).body_bytes, app.settings.body_timeout_s
    fields = forms.in_query(request.query)
    options.read(fields)  # refused before the document is sent, where a client waits for that
    body.check_length(request, limit_bytes=limit_bytes)
    await admission.check(request)
    await expecting.go_on(request)
    async with uploads.begin(app.blobs) as upload:
        if request.content_type == "multipart/form-data":
            taken, more = await forms.receive(request, upload, limit_bytes=limit_bytes, stall_s=stall_s)
            fields = {**fields, **more}
        else:
            taken = await ingest.pdf(body.of(request, limit_bytes=limit_bytes, stall_s=stall_s), upload)
        return await _submit(request, app, mode, admission, upload, taken, options.read(fields))


def _check_type(request: web.Request, *known: str) -> None:
    if "Content-Type" in request.headers and request.content_type not in known:
        raise Problem(
            "unsupported-type",
            f"Content-Type is {request.content_type!r}: send {' or '.join(known)}.",
            headers={"Accept-Post": ", ".join(known)},
        )


async def _submit(
    request: web.Request,
    app: App[GatewaySettings],
    mode: Mode,
    admission: Admission,
    upload: Upload,
    taken: Taken,
    asked: Options,
) -> web.Response:
    """Make the uploaded document a job; only then, answer."""
    tenant = access.identity(request).tenant
    job_id = names.job_id(asked.job_id, request.headers.get("Idempotency-Key"), tenant=tenant)
    pages = asked.selection.count(taken.pages)
    submission = Submission(
        ref=names.ref(job_id, tenant=tenant),
        run=uuid.uuid4().hex,
        kind=taken.kind,
        source=upload.id,
        fingerprint=asked.fingerprint(taken.fingerprint),
        user=names.user(asked.user_id),
        batch_size=asked.batch_size or app.settings.batch_size,
        whole_up_to=asked.batch_size or app.settings.large_document_pages,
        selection=str(asked.selection),
        narrate=asked.narrate,
        pages=taken.pages,
    )
    able = await _fleet(app)
    async with admission.room(request, ref=submission.ref, run=submission.run, pages=pages) as room:
        await upload.flush()
        submission = msgspec.structs.replace(submission, max_pages=room.max_pages)
        submitted = await _record(submission, app, mode, upload, room)
    replayed = submitted.run != submission.run
    if replayed:
        await upload.discard()
    if not submitted.same:
        raise Problem(
            "job-exists",
            f"Job {job_id} exists with other content: send this document with another job_id or Idempotency-Key.",
            job_id=job_id,
        )
    log.info(
        "document %s",
        "accepted again" if replayed else "accepted",
        extra={"action": "accepted", "job": submission.ref, "pages": pages, "bytes": request.content_length or 0},
    )
    answer = accepted(app.settings, job_id, pages, able, batch_size=asked.batch_size)
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return web.Response(status=202, body=msgspec.json.encode(answer), content_type="application/json", headers=headers)


async def _record(
    submission: Submission, app: App[GatewaySettings], mode: Mode, upload: Upload, room: Room
) -> Submitted:
    """Submit, and say what came of it. Raises Problem (503)."""
    upload.kept = True  # from here on the job may exist, even if no answer comes
    room.outcome = "unknown"
    try:
        async with durable(app.redis, worker=app.worker, mode=mode) as ledger:
            submitted = await ledger.submit(submission)
    except ResponseError as error:
        upload.kept = False  # the server has answered: there is no job
        room.outcome = "nothing"
        raise Problem(
            "redis-unavailable",
            "The job store refuses new work, perhaps because its memory is full: send the document again later.",
            retry_after_s=uploads.RETRY_AFTER_S,
        ) from error
    except RedisError as error:
        job_id = submission.ref.partition("/")[2]
        raise Problem(
            "redis-unavailable",
            f"It is not known whether the document was accepted: send it again with job_id {job_id}, which is safe.",
            retry_after_s=2,
            job_id=job_id,
        ) from error
    room.outcome = "accepted" if submitted.run == submission.run else "replayed"
    return submitted


def accepted(
    settings: GatewaySettings, job_id: str, pages: int, able: Fleet, *, batch_size: int | None = None
) -> api.Accepted:
    """The 202 answer. `pages` 0: a PDF's, which nobody has counted yet, so nothing is said that rests on them.

    `batch_size`: as asked for; then also a short document is cut.
    """
    size = batch_size or settings.batch_size
    large = pages > (batch_size or settings.large_document_pages)
    batches = -(-pages // size) if large else 1
    return api.Accepted(
        job_id=job_id,
        processing_strategy=None if not pages else "batch_parallel" if large else "single_batch",
        batch_size=size,
        estimated_batches=batches if pages else None,
        estimated_completion_minutes=pace.minutes(pages, pages_per_s=able.pages_per_s, slots=able.slots)
        if pages
        else None,
        status_endpoint=f"/batch-status/{job_id}",
        cancel_endpoint=f"/cancel-job/{job_id}",
    )


async def _fleet(app: App[GatewaySettings]) -> Fleet:
    services = await fleet.services(app.redis)
    slots = sum(service.slots for service in services if service.service == PageRequested.group)
    return Fleet(pages_per_s=await fleet.last_speed(app.redis), slots=slots)

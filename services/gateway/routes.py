"""The HTTP API: what is asked where. Each handler is a few lines on top of a file that knows the matter."""

from __future__ import annotations

import time
from contextlib import aclosing

import msgspec
from aiohttp import web

from services.gateway import (
    access,
    api,
    audio,
    cancelling,
    checkup,
    cors,
    documents,
    expecting,
    names,
    pace,
    status,
    submissions,
)
from services.gateway.admission import Admission
from services.gateway.configuration import GatewaySettings
from services.gateway.cors import Origins
from services.gateway.draining import InHand
from services.gateway.headers import Outgoing, identified
from services.gateway.keyring import Keyring
from services.gateway.middleware import bugs, problems
from services.gateway.waiting import Waiting
from shared import fleet, health, pauses
from shared.durability import Mode
from shared.records import Job
from shared.service import App

MARKDOWN = "text/markdown"


def application(app: App[GatewaySettings], in_hand: InHand, mode: Mode) -> web.Application:
    """The whole API, on top of the fleet's own routes. `mode`: what the server's answers are worth.

    Raises SettingsError for settings that say who may ask and can't be kept.
    """
    settings = app.settings
    keyring, origins, admission = Keyring(settings.api_keys_file), Origins(settings.cors_origins), Admission(app)

    async def ready() -> list[str]:
        stopping = ["This gateway is being stopped."] if app.stop.is_set() else []
        return [*stopping, *await app.ailments(), *await checkup.blob_ailments(app.blobs)]

    async def notices() -> list[str]:
        told = await pauses.told(app.redis, await checkup.models(app))
        return [stats.pause for stats in told]

    web_app = web.Application(
        middlewares=[
            identified,
            problems,
            cors.preflights(origins),
            access.middleware(keyring, settings, origins),
            admission.middleware(),
            in_hand.middleware(),
        ],
        handler_args={"keepalive_timeout": settings.connection_timeout_s},
    )
    web_app.on_response_prepare.extend([bugs, Outgoing(origins)])
    web_app.add_routes(
        [*health.routes(ready, notices=notices, tell=access.is_known), *routes(app, mode, admission, keyring)]
    )
    return web_app


def routes(app: App[GatewaySettings], mode: Mode, admission: Admission, keyring: Keyring) -> list[web.RouteDef]:
    """What clients ask for."""
    paces, waiting = pace.Pace(), Waiting(app.redis)

    async def job_of(request: web.Request) -> Job:
        """The job in the address, where it is the tenant's own. Raises Problem (404)."""
        text = request.match_info["job_id"]
        job = await app.jobs.get(names.known_ref(text, tenant=access.identity(request).tenant))
        if job is None:
            raise names.unknown_job(text)
        return job

    async def post_images(request: web.Request) -> web.Response:
        return await submissions.submit_images(request, app, mode, admission)

    async def post_document(request: web.Request) -> web.Response:
        return await submissions.submit_document(request, app, mode, admission)

    async def get_status(request: web.Request) -> web.Response:
        job = await job_of(request)
        now_ms = int(time.time() * 1000)
        return _json(
            status.answer(
                job,
                await app.jobs.gaps(job) if job.failed else [],
                seconds_left=pace.seconds_left(job, paces.pages_per_s(job, now_ms=now_ms)),
                now_ms=now_ms,
                paused=await waiting.reason(job),
            )
        )

    async def post_cancel(request: web.Request) -> web.Response:
        tenant = access.identity(request).tenant
        return _json(await cancelling.cancel(request.match_info["job_id"], app, mode, tenant=tenant))

    async def get_stats(_: web.Request) -> web.Response:
        return _json(
            api.BatchStats(
                streams=await fleet.streams(app.redis),
                services=await fleet.services(app.redis),
                pages_per_second=round(await fleet.speed(app.redis), 2),
                models=await pauses.limits(app.redis, await checkup.models(app)),
                jobs=await fleet.jobs_by_status(app.redis),
            )
        )

    async def get_health(request: web.Request) -> web.Response:
        found = await checkup.health(app, mode, more=keyring.ailments())
        answer = found if access.is_known(request) else api.HealthInBrief(status=found.status)
        return _json(answer, status=503 if found.status == "unhealthy" else 200)

    async def get_document(request: web.Request) -> web.StreamResponse:
        job = await job_of(request)
        headers = {"Vary": "Accept"}
        if MARKDOWN in request.headers.get("Accept", ""):
            text = await documents.as_markdown(job, app.jobs, app.blobs.get)
            return web.Response(text=text, content_type=MARKDOWN, headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Type": "application/json"})
        await response.prepare(request)
        paused = await waiting.reason(job)
        async with aclosing(documents.as_json(job, app.jobs, app.blobs.get, paused=paused)) as pieces:
            async for piece in pieces:
                await response.write(piece)
        return response

    async def get_audio(request: web.Request) -> web.StreamResponse:
        return await audio.send(request, await job_of(request), app.blobs)

    async def get_timeline(request: web.Request) -> web.Response:
        return await audio.timeline(await job_of(request), app.blobs)

    return [
        web.post("/process-large-document", post_images, expect_handler=expecting.later),
        web.get("/batch-status/{job_id}", get_status),
        web.get("/batch-stats", get_stats),
        web.post("/cancel-job/{job_id}", post_cancel),
        web.get("/health", get_health),
        web.post("/documents", post_document, expect_handler=expecting.later),
        web.get("/documents/{job_id}", get_document),
        web.get("/documents/{job_id}/audio", get_audio),
        web.get("/documents/{job_id}/audio.json", get_timeline),
    ]


def _json(answer: msgspec.Struct, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), status=status, content_type="application/json")

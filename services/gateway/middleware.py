"""Turns every error into problem details; what went wrong inside stays in the log."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler
from redis.exceptions import RedisError

from services.gateway.headers import request_id
from services.gateway.problems import KINDS, Problem

log = logging.getLogger(__name__)

REDIS_BACK_S = 2  # a restart of a server with an append-only file, mostly


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An answer that has begun can't become a problem: its connection breaks, so that nobody takes it for whole."""
    try:
        return await handler(request)
    except Problem as problem:
        if _begun(request):
            raise
        return _answer(request, problem)
    except RedisError as error:
        log.error("Redis failed: %s", error, extra={"action": "redis_error", "path": request.path})  # noqa: TRY400 - a sentence is enough
        if _begun(request):
            raise
        return _answer(
            request,
            Problem(
                "redis-unavailable",
                "The job store cannot be asked now: send the request again.",
                retry_after_s=REDIS_BACK_S,
            ),
        )
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _answer(request, _translated(request, error))


async def bugs(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp logs an error that nobody expected and answers in plain text: the text becomes problem details too."""
    if response.status != 500 or not isinstance(response, web.Response):
        return
    problem = Problem("internal", "The request met a bug, which is in the gateway's log: send it again, or report it.")
    response.body = body = problem.body(request_id=request_id(request))
    response.content_type = "application/problem+json"
    response.charset = None
    response.headers["Content-Length"] = str(len(body))


def _begun(request: web.Request) -> bool:
    return request.writer.output_size > 0


def _translated(request: web.Request, error: web.HTTPException) -> Problem:
    """aiohttp's own refusals."""
    if isinstance(error, web.HTTPNotFound):
        return Problem("unknown-route", f"There is nothing at {request.path[:200]!r}: see the list of addresses.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(
            "wrong-method",
            f"{request.method} is not for {request.path[:200]!r}: use {allowed}.",
            headers={"Allow": allowed},
        )
    return Problem("refused", f"The request was refused: {error.reason}.", status=error.status)


def _answer(request: web.Request, problem: Problem) -> web.Response:
    log.info(
        "%s",
        KINDS[problem.slug].title,
        extra={
            "action": "refused",
            "problem": problem.slug,
            "status": problem.status,
            "method": request.method,
            "path": request.path[:200],  # without its query: ids and words of clients may stand there
            "from": request.remote,
        },
    )
    return web.Response(
        status=problem.status,
        body=problem.body(request_id=request_id(request)),
        headers=problem.headers,
        content_type="application/problem+json",
    )

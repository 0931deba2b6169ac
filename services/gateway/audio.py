"""GET /documents/{id}/audio and audio.json: the narration, whole or in ranges, and its timeline."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import ETag, web

from services.gateway import ranges
from services.gateway.problems import Problem
from services.gateway.uploads import storing
from shared.blobs import Blobs
from shared.records import TERMINAL, Job

MP3 = "audio/mpeg"
CHUNK_BYTES = 1 << 18  # 32 s of sound; all of an answer that is held at once
RETRY_AFTER_S = 5
FRESHNESS = "private, no-cache"  # kept, but asked about each time: another narration may have taken its place


async def send(request: web.Request, job: Job, blobs: Blobs) -> web.StreamResponse:
    """The MP3. Raises Problem where there is none (404, 409, 410) and for a range that it does not have (416)."""
    check(job)
    tag = ETag(Path(job.audio_blob).stem)  # a blob never changes its content
    headers = {"Accept-Ranges": "bytes", "Cache-Control": FRESHNESS}
    if any(each.value in (tag.value, "*") for each in request.if_none_match or ()):
        unchanged = web.Response(status=304, headers=headers)
        unchanged.etag = tag
        return unchanged
    async with blobs.local(job.audio_blob) as path:
        try:
            with storing():
                size = (await asyncio.to_thread(path.stat)).st_size
        except FileNotFoundError as error:
            raise _gone() from error
        span = _span(request, tag, size)
        response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
        response.content_type = MP3
        response.etag = tag
        response.headers["Content-Disposition"] = f'inline; filename="{job.id}.mp3"'
        if span is not None:
            response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        span = range(size) if span is None else span
        response.content_length = len(span)
        await response.prepare(request)
        if request.method != "HEAD":
            for at in range(span.start, span.stop, CHUNK_BYTES):
                await response.write(await asyncio.to_thread(_read, path, at, min(CHUNK_BYTES, span.stop - at)))
        await response.write_eof()
        return response


async def timeline(job: Job, blobs: Blobs) -> web.Response:
    """A `results.Timeline` as it is stored. Raises Problem where there is none."""
    check(job)
    try:
        with storing():
            body = await blobs.get(job.timeline)
    except FileNotFoundError as error:
        raise _gone() from error
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": FRESHNESS})


def check(job: Job) -> None:
    """Raises Problem unless the job's narration is ready. Pure."""
    match job.audio:
        case "ready":
            return
        case "failed":
            raise Problem("audio-failed", f"The summary could not be spoken: {job.audio_reason}", audio="failed")
        case "none" if job.status in TERMINAL or not job.narrate:
            raise Problem(
                "no-audio",
                f"This document has no narration: none was asked for, or it ended ({job.status}) before its summary.",
                audio="none",
            )
        case _:
            raise Problem(
                "audio-not-ready",
                "The narration is not there yet: it is spoken when the document has its summary. Ask again.",
                retry_after_s=RETRY_AFTER_S,
                audio=job.audio,
            )


def _span(request: web.Request, tag: ETag, size: int) -> range | None:
    """The bytes to send; None: all. With If-Range, a range of another file than the client has is not sent."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != f'"{tag.value}"':
        return None
    try:
        return ranges.wanted(request.headers.get("Range"), size)
    except ranges.Unsatisfiable as error:
        raise Problem(
            "range-not-satisfiable",
            f"The narration has {size} bytes, and Range asks for others: {error}.",
            headers={"Content-Range": f"bytes */{size}"},
            size_bytes=size,
        ) from error


def _read(path: Path, at: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(count)


def _gone() -> Problem:
    return Problem("audio-gone", "The narration is no longer in the blob store.")

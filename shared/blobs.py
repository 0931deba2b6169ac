"""Big things: documents, page images, results. Streams and hashes carry only their keys.

Keys never change their content: an upload has a folder of its own, a page image is the same whoever renders it, and a
result is named by its attempt, so that a late writer cannot overwrite the winner.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

WRITE_BUFFER = 1 << 20
"""Of a blob that is written in pieces; obstore's own default holds 12 of 10 MB (measured: 131 MB for a PDF)."""


FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Between tries to write to a store that is full or away."""
FAILURES = (OSError, BaseError)
"""What a store that is full, read-only or away raises; FileNotFoundError among them says that a blob is missing."""

log = logging.getLogger(__name__)


class BlobsError(Exception):
    """The blob store can't be used as asked. The message says why and what to do."""


def upload(upload_id: str, name: str) -> str:
    """A file as the client sent it: `source.pdf`, or page images `00000`, `00001`, … by ordinal."""
    return f"uploads/{upload_id}/{name}"


def page_image(job: str, run: str, ordinal: int) -> str:
    return f"jobs/{job}/{run}/pages/{ordinal:05}.jpg"


def page_text(job: str, run: str, ordinal: int) -> str:
    return f"jobs/{job}/{run}/pages/{ordinal:05}.txt"


def page_result(job: str, run: str, ordinal: int) -> str:
    return f"jobs/{job}/{run}/read/{ordinal:05}-{uuid.uuid4().hex[:12]}.json"


def batch_result(job: str, run: str, batch: int) -> str:
    return f"jobs/{job}/{run}/batches/{batch:04}-{uuid.uuid4().hex[:12]}.json"


def document_result(job: str, run: str) -> str:
    return f"jobs/{job}/{run}/summary-{uuid.uuid4().hex[:12]}.json"


def summary_part(job: str, run: str, digest: str) -> str:
    """A part of the summary tree, named by what was asked for."""
    return f"jobs/{job}/{run}/parts/{digest}.json"


def speech_piece(job: str, run: str, digest: str) -> str:
    """PCM of a spoken piece, named by what was asked for: a piece that exists is not bought again."""
    return f"jobs/{job}/{run}/speech/{digest}.pcm"


def narration(job: str, run: str) -> str:
    return f"jobs/{job}/{run}/narration-{uuid.uuid4().hex[:12]}.mp3"


def timeline(job: str, run: str) -> str:
    return f"jobs/{job}/{run}/timeline-{uuid.uuid4().hex[:12]}.json"


class Blobs:
    """The blob store. Missing keys raise FileNotFoundError; a full or unwritable disk, OSError or obstore's."""

    def __init__(self, url: str) -> None:
        scheme, found, rest = url.partition("://")
        if scheme != "file" or not found or not rest:
            raise BlobsError(
                f"BLOB_URL: {url!r} can't be used: this release stores blobs in files, file:///absolute/path"
            )
        self.root = Path(rest).absolute()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = LocalStore(self.root)
        self._waits = False

    async def put(self, key: str, data: bytes) -> None:
        """Store whole; a reader sees all of it or nothing."""
        await obstore.put_async(self._store, key, data)

    async def keep(self, key: str, data: bytes) -> None:
        """Store whole, however long it takes: for what was paid for, or made with much work.

        A full disk holds its worker up, who then begins nothing new; the log tells of it once.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self.put(key, data)
            except FAILURES as error:
                if not self._waits:
                    log.error("waits for the blob store: %s", first_line(error), extra={"action": "blobs_wait"})  # noqa: TRY400 - a sentence is enough
                self._waits = True
            else:
                if self._waits:
                    log.info("the blob store takes results again", extra={"action": "blobs_back"})
                self._waits = False
                return
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def get(self, key: str) -> bytes:
        result = await obstore.get_async(self._store, key)
        return bytes(await result.bytes_async())

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove; keys that are not there are fine."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[obstore.AsyncWritableFile]:
        """Write in pieces (`await out.write(data)`), flat in memory. An exception inside leaves nothing behind."""
        out = obstore.open_writer_async(self._store, key, buffer_size=WRITE_BUFFER, max_concurrency=1)
        whole = False
        try:
            yield out
            whole = True
        finally:
            await (out.close() if whole else asyncio.shield(self._discard(out, key)))

    async def _discard(self, out: obstore.AsyncWritableFile, key: str) -> None:
        await out.close()
        await self.delete([key])

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """The blob as a file on this machine, for libraries that want a path. Not to be written to."""
        yield self.root / key

    async def flush(self, keys: Iterable[str]) -> None:
        """Return when these blobs would survive a power loss (fsync of files and folders)."""
        await asyncio.to_thread(_fsync, [self.root / key for key in keys])


def first_line(error: BaseException) -> str:
    """What an error says; obstore's go on for a screen."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _fsync(paths: list[Path]) -> None:
    folders = {parent for path in paths for parent in (path.parent, path.parent.parent)}
    for path in [*paths, *folders]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

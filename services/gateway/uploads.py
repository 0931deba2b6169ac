"""What a client sends, on its way into the blob store: a folder of its own that vanishes unless it is kept."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import obstore
from obstore.exceptions import BaseError

from services.gateway.problems import Problem
from shared import blobs as names
from shared.blobs import Blobs

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10  # a full disk is not emptied in a second


class Upload:
    """One upload. `kept`: something may refer to it, so it stays."""

    def __init__(self, blobs: Blobs) -> None:
        self.id = uuid.uuid4().hex
        self.kept = False
        self._blobs = blobs
        self._keys: list[str] = []

    async def put(self, name: str, data: bytes) -> None:
        """Store a file whole. Raises Problem (503) where the blob store can't be written; so do the others."""
        with storing():
            await self._blobs.put(self._key(name), data)

    @asynccontextmanager
    async def writer(self, name: str) -> AsyncIterator[obstore.AsyncWritableFile]:
        """Store a file in pieces."""
        with storing():
            async with self._blobs.writer(self._key(name)) as out:
                yield out

    async def flush(self) -> None:
        """Return when all of it would survive a power loss."""
        with storing():
            await self._blobs.flush(self._keys)

    async def discard(self) -> None:
        """Remove all of it; what can't be removed is told in the log."""
        try:
            await self._blobs.delete(self._keys)
        except (OSError, BaseError) as error:
            log.warning("upload not removed: %s", error, extra={"action": "discard_failed", "upload": self.id})

    def _key(self, name: str) -> str:
        key = names.upload(self.id, name)
        self._keys.append(key)
        return key


@asynccontextmanager
async def begin(blobs: Blobs) -> AsyncIterator[Upload]:
    """An upload; if it ends with an exception and nothing may refer to it yet, nothing of it stays behind."""
    upload, accepted = Upload(blobs), False
    try:
        yield upload
        accepted = True
    finally:
        if not (accepted or upload.kept):
            await asyncio.shield(upload.discard())


@contextmanager
def storing() -> Iterator[None]:
    """The blob store's errors stop here, save FileNotFoundError: a missing blob is no sick store."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, BaseError) as error:
        log.error("blob store failed: %s", error, extra={"action": "blobs_error"})  # noqa: TRY400 - a sentence is enough
        raise Problem(
            "storage-unavailable",
            "The blob store cannot be used now, perhaps because its disk is full: send the request again later.",
            retry_after_s=RETRY_AFTER_S,
        ) from error

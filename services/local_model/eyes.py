"""Recognising text on page images, in processes beside the server.

Promises:
1. The event loop goes on meanwhile; at most `processes` pages are recognised at once, the others wait in order.
2. An image that ends its process, or takes too long, costs its own page and no other.
3. Who would wait much longer than half a minute is told to come again; who has gone is not worked for.
4. Processes start with the first page that needs them, and end with the server, however that ends.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from services.local_model import recognising
from services.local_model.pixels import Unreadable
from services.local_model.recognising import TIMEOUT_S, Seen, Sight
from services.local_model.wire import Refusal

log = logging.getLogger(__name__)

_QUEUE = 32  # pages that wait for each process: about half a minute
_COME_AGAIN_S = 5


class Eyes:
    """What reads page images. One process at a time works for one image, so its death is that image's doing."""

    def __init__(self, sight: Sight, *, processes: int) -> None:
        self._sight = sight
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()  # the last used first: a warm one
        for _ in range(processes):
            self._idle.put_nowait(_Process())
        self._most = processes * (1 + _QUEUE)
        self._asked = 0

    async def read(self, image: bytes, *, gone: Callable[[], bool]) -> Seen:
        """Recognise the text of an image. `gone`: whether the client no longer waits.

        Raises Refusal for an image that can't be read (400) and where too many are waiting (429).
        """
        if self._asked >= self._most:
            raise Refusal(
                429,
                f"{self._asked} page images are waiting to be read; come again in {_COME_AGAIN_S} s.",
                code="rate_limit_exceeded",
                retry_after_s=_COME_AGAIN_S,
            )
        self._asked += 1
        try:
            process = await self._idle.get()
            try:
                if gone():
                    raise Refusal(499, "The client did not wait for the answer.", code="client_gone")
                return await process.recognise(image, self._sight)
            finally:
                self._idle.put_nowait(process)
        except Unreadable as error:
            raise Refusal(400, str(error), code="invalid_image") from error
        finally:
            self._asked -= 1

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()


class _Process:
    """A process that is started when needed, and anew when it died."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def recognise(self, image: bytes, sight: Sight) -> Seen:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),  # a fork would inherit the loop and its connections
                initializer=recognising.stay_with_parent,
            )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, recognising.recognise, image, sight)
        except BrokenProcessPool as error:
            log.warning("a recognising process died with an image in hand", extra={"action": "ocr_died"})
            self.close()
            raise Unreadable(
                f"The image ended the process that recognises text, or took longer than {TIMEOUT_S} s."
            ) from error

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def opened(sight: Sight, *, processes: int) -> Iterator[Eyes]:
    """Eyes that are closed at the end."""
    eyes = Eyes(sight, processes=processes)
    try:
        yield eyes
    finally:
        eyes.close()

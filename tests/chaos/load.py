"""The load: documents of all sizes, submitted, watched, cancelled and retried by clients that take no for no answer."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.deadletters import STREAMS, DeadLetters
from shared.jobs import Jobs
from shared.records import TERMINAL
from tests.chaos.document import Document
from tests.chaos.fleet import Part
from tests.chaos.scale import Scale
from tests.chaos.store import Store
from tests.fleets import PROJECT

SEND_S, LOOK_S = 20, 5
"""A client's patience for a submission, and for anything else."""
PAUSE_S = (0.3, 1.0)
EVERY_S = 1.0  # a status is looked at
NEXT_S = (0.2, 2.0)  # between two documents, where few enough are open


class Load:
    """Clients of the fleet's gateways. `wrong`: what they were told and should not have been."""

    def __init__(self, gateways: list[Part], scale: Scale, store: Store, redis: Redis, *, seed: int) -> None:
        self.documents: list[Document] = []
        self.wrong: list[str] = []
        self.answers: Counter[str] = Counter()
        """HTTP status of submissions, and what was said where it was not 202."""
        self.replays = 0
        self._gateways = gateways
        self._scale = scale
        self._store = store
        self._redis = redis
        self._seed = seed
        self._epoch = 0
        self._chance = random.Random(f"clients {seed}")
        self._over = False

    @property
    def open(self) -> list[Document]:
        return [document for document in self.documents if not document.ended]

    def stop(self) -> None:
        """No further documents; those under way are watched to their end."""
        self._over = True

    def forget_since(self, since: float) -> None:
        """The server has lost what was written since then (monotonic): what was seen of it is nothing to go by."""
        self._epoch += 1
        for document in self.documents:
            document.seen = [seen for seen in document.seen if seen[0] < since]
            document.ended = bool(document.seen) and document.seen[-1][2] in TERMINAL

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Submit until `stop`; returns when all have ended."""
        source = random.Random(f"documents {self._seed}")
        async with asyncio.TaskGroup() as clients:
            while not self._over:
                if len(self.open) < self._scale.open_jobs:
                    document = Document(len(self.documents), source, self._scale, seed=self._seed)
                    self.documents.append(document)
                    clients.create_task(self._client(session, document), name=f"client of {document.id}")
                await asyncio.sleep(source.uniform(*NEXT_S))

    async def _client(self, session: aiohttp.ClientSession, document: Document) -> None:
        await self._submit(session, document)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch(session, document), name=f"watch of {document.id}")
            if document.cancel_after_s is not None:
                cancel = self._cancel(session, document, document.cancel_after_s)
                both.create_task(cancel, name=f"cancel of {document.id}")

    async def _submit(self, session: aiohttp.ClientSession, document: Document) -> None:
        path, headers, body = await asyncio.to_thread(document.body)
        while True:
            status, text, gateway = 0, "", self._chance.choice(self._gateways)
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                timeout = aiohttp.ClientTimeout(total=SEND_S)
                async with session.post(
                    gateway.url + path, data=io.BytesIO(body), headers=headers, timeout=timeout
                ) as answer:
                    status, text = answer.status, await answer.text()
            self.answers[f"{status or 'none'} {_detail(text, document)}".strip()] += 1
            if status == 202:
                self._store.promise()
                return
            self._odd(document, gateway, "submission", status, text)
            await asyncio.sleep(self._chance.uniform(*PAUSE_S))

    async def _cancel(self, session: aiohttp.ClientSession, document: Document, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError):
                gateway = self._chance.choice(self._gateways)
                url = f"{gateway.url}/cancel-job/{document.id}"
                document.cancelled = True  # it may be, whatever the answer: it can get lost
                async with session.post(url, timeout=aiohttp.ClientTimeout(total=LOOK_S)) as answer:
                    if answer.status == 200:
                        self._store.promise()
                        return
                    self._odd(document, gateway, "cancel", answer.status, await answer.text())
            await asyncio.sleep(self._chance.uniform(*PAUSE_S))

    async def _watch(self, session: aiohttp.ClientSession, document: Document) -> None:
        """Look at its status until it has ended, and once in a while after that, until the load is over."""
        while not (self._over and document.ended):
            await asyncio.sleep(EVERY_S * self._chance.uniform(0.7, 1.3) * (5 if document.ended else 1))
            epoch, status = self._epoch, 0
            answer: Any = None
            gateway = self._chance.choice(self._gateways)
            with suppress(aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError):
                url = f"{gateway.url}/batch-status/{document.id}"
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=LOOK_S)) as response:
                    status, answer = response.status, msgspec.json.decode(await response.read())
            if epoch != self._epoch:
                continue
            if status != 200:
                self._odd(document, gateway, "status", status, str(answer))
                continue
            self._see(document, time.monotonic(), answer)
            if document.ended and document.retried and not self._over and answer["status"] in ("partial", "failed"):
                document.retried = False
                await self.replay(document)

    def _odd(self, document: Document, gateway: Part, what: str, status: int, text: str) -> None:
        """An answer other than the one hoped for: that the fleet can't now is all that it may say.

        The bugs of the previous release, which answers 500 to a broken connection, are forgiven it.
        """
        if status not in (0, 408, 429, 503) and not (status == 500 and gateway.runs != PROJECT):
            self.wrong.append(f"{document.id}: its {what} was answered {status}: {text}")

    def _see(self, document: Document, at: float, answer: dict[str, Any]) -> None:
        progress, status = answer["progress"], answer["status"]
        _, before, was = document.seen[-1] if document.seen else (0, 0, "")
        if was in TERMINAL and status != was:
            self.wrong.append(f"{document.id}: had ended as {was}, and is {status}")
        elif progress < before:
            self.wrong.append(f"{document.id}: its progress went from {before} back to {progress} ({was}, {status})")
        if (progress, status) != (before, was):
            document.seen.append((at, progress, status))
        document.ended = status in TERMINAL

    async def replay(self, document: Document) -> bool:
        """Let what failed of it be tried again, as `./quire dead replay` does. True where something is."""
        document.seen, document.ended = [], False  # a new rev begins, maybe
        self._epoch += 1
        letters = DeadLetters(self._redis)
        with suppress(RedisError, OSError):
            mine = [
                letter
                for stream in STREAMS
                for letter in await letters.of(stream)
                if letter.job == f"local/{document.id}"
            ]
            replayed = [answer for answer in await letters.replay(mine) if not answer.why]
            self._store.promise()
            self.replays += bool(replayed)
            return bool(replayed)
        return False

    async def unfinished(self) -> list[str]:
        """What has not ended, and where it stands."""
        told = []
        for document in self.open:
            job = await Jobs(self._redis).get(f"local/{document.id}")
            told.append(f"{document.id}: {document.pages} pages: {job}")
        return told


def _detail(text: str, document: Document) -> str:
    """What a problem says, without what is this document's alone."""
    with suppress(msgspec.MsgspecError):
        return str(msgspec.json.decode(text).get("detail", "")).replace(document.id, "…")
    return text


@asynccontextmanager
async def loading(load: Load) -> AsyncIterator[asyncio.Task[None]]:
    """Load the fleet meanwhile."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        task = asyncio.create_task(load.run(session), name="load")
        try:
            yield task
        finally:
            load.stop()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

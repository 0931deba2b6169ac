"""A client of the gateway's HTTP API."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, InvalidURL, hdrs
from yarl import URL

from cli import datafolder
from cli.errors import CommandError
from cli.sources import Images, Pdf, Source
from cli.wire import Accepted, Problem, Result, Stats, Status

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = ClientTimeout(total=None, sock_connect=5, sock_read=60)  # uploads may be long, silence may not
_CHUNK = 1 << 20

T = TypeVar("T")


class Unreachable(CommandError):
    """Nobody answers at the address, or not for now."""


class Refusal(CommandError):
    """The gateway answered with a problem; the message is its own sentence."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, code=1)
        self.status = status


class Client:
    """Every method raises Unreachable (also for 502, 503 and 504) or Refusal."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def submit(self, source: Source) -> tuple[Accepted, bytes]:
        """Send a document, which is never held whole; returns what was accepted, and the same as JSON."""
        if isinstance(source, Pdf):
            size = str(source.path.stat().st_size)  # what is too large is refused before it is sent
            headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/pdf", hdrs.CONTENT_LENGTH: size}
            answer = await self._ask(hdrs.METH_POST, "/documents", body=_file(source.path), headers=headers)
        else:
            headers = {hdrs.CONTENT_TYPE: "application/json"}
            answer = await self._ask(hdrs.METH_POST, "/process-large-document", body=_images(source), headers=headers)
        return self._decode(answer, Accepted), answer

    async def status(self, job_id: str) -> Status:
        return self._decode(await self.status_json(job_id), Status)

    async def status_json(self, job_id: str) -> bytes:
        return await self._ask(hdrs.METH_GET, f"/batch-status/{_quoted(job_id)}")

    async def result(self, job_id: str) -> tuple[Result, bytes]:
        """The summary, and all of the result as JSON."""
        answer = await self._ask(
            hdrs.METH_GET, f"/documents/{_quoted(job_id)}", headers={hdrs.ACCEPT: "application/json"}
        )
        return self._decode(answer, Result), answer

    async def report(self, job_id: str) -> bytes:
        """The report in Markdown."""
        return await self._ask(hdrs.METH_GET, f"/documents/{_quoted(job_id)}", headers={hdrs.ACCEPT: "text/markdown"})

    async def audio(self, job_id: str) -> bytes:
        """The narration, an MP3."""
        return await self._ask(hdrs.METH_GET, f"/documents/{_quoted(job_id)}/audio")

    async def cancel(self, job_id: str) -> bytes:
        """What was stopped, as JSON."""
        return await self._ask(hdrs.METH_POST, f"/cancel-job/{_quoted(job_id)}")

    async def stats(self) -> tuple[Stats, bytes]:
        """What waits, who works, how fast; and the same as JSON."""
        answer = await self._ask(hdrs.METH_GET, "/batch-stats")
        return self._decode(answer, Stats), answer

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        try:
            address = URL(self.url + path, encoded=True)
            async with self._session.request(method, address, data=body, headers=headers) as response:
                answer = await response.read()
        except (InvalidURL, ValueError) as error:
            raise CommandError(f"{self.url!r} is not the address of a gateway, such as {DEFAULT_URL}") from error
        except (ClientConnectionError, TimeoutError) as error:
            raise Unreachable(
                f"no gateway answers at {self.url}: start the fleet with `./quire up`, "
                "or say where it is with --url or QUIRE_URL"
            ) from error
        if response.status < 400:
            return answer
        sentence = _sentence(answer) or f"{response.status} {response.reason}"
        if response.status in (502, 503, 504):
            raise Unreachable(f"the gateway at {self.url} can't help now: {sentence}")
        raise Refusal(sentence, status=response.status)

    def _decode(self, answer: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise CommandError(f"what answers at {self.url} is not a gateway of this release: {error}") from error


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client of the gateway at this address, with the key in QUIRE_API_KEY if there is one; nothing is asked yet."""
    key = os.environ.get("QUIRE_API_KEY")
    headers = {hdrs.AUTHORIZATION: f"Bearer {key}"} if key else None
    async with ClientSession(timeout=_TIMEOUT, headers=headers) as session:
        yield Client(session, url.rstrip("/"))


def find(given: str | None, environ: Mapping[str, str]) -> str:
    """The gateway's address: as given, QUIRE_URL, the fleet that runs in the data folder, or the usual one."""
    if given or environ.get("QUIRE_URL"):
        return given or environ["QUIRE_URL"]
    fleet = datafolder.find(environ).running()
    return fleet.api_url if fleet else DEFAULT_URL


def _quoted(job_id: str) -> str:
    return quote(job_id, safe="")


def _sentence(answer: bytes) -> str:
    """What a problem document says; empty if the answer is none."""
    try:
        problem = msgspec.json.decode(answer, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return problem.detail or problem.title


async def _file(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


async def _images(source: Images) -> AsyncIterator[bytes]:
    """The JSON body, one image at a time."""
    head = {"job_id": str(uuid.uuid4()), "user_id": "quire", "num_pages": len(source.paths), "file_type": "image"}
    yield msgspec.json.encode(head)[:-1] + b',"images_base64":['
    for index, path in enumerate(source.paths):
        encoded = base64.b64encode(await asyncio.to_thread(path.read_bytes))
        yield (b',"' if index else b'"') + encoded + b'"'
    yield b"]}"

"""A client of a gateway: what somebody outside the fleet can ask of it, and nothing more."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import pybase64

from tests.conftest import eventually
from tests.pages import page_image

JSON = {"Content-Type": "application/json"}
PDF = {"Content-Type": "application/pdf"}
MARKDOWN = {"Accept": "text/markdown"}

Json = dict[str, Any]


class Client:
    """Asks one gateway over HTTP. Answers are as they come over the wire, so that a renamed field is noticed."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """`session`: with the gateway's address as its base."""
        self._session = session

    async def pages(self, count: int, *, seed: int, narrate: bool = False) -> str:
        """Submit `tests.pages.page_image` 1 to `count`; the job's id. Another seed: another document."""
        made = [page_image(number, seed=seed) for number in range(1, count + 1)]
        job: str = (await self.images(made, narrate=narrate))["job_id"]
        return job

    async def images(self, pages: Sequence[bytes], *, narrate: bool = False) -> Json:
        """Submit page images, mostly silently: narrations have tests of their own. The 202 answer."""
        body = {
            "job_id": str(uuid.uuid4()),
            "user_id": "reader",
            "images_base64": [pybase64.b64encode_as_string(page) for page in pages],
            "num_pages": len(pages),
            "file_type": "jpeg",
        }
        sent = io.BytesIO(msgspec.json.encode(body))  # a stream: aiohttp objects to large bodies in one piece
        path = f"/process-large-document?narrate={str(narrate).lower()}"
        return await self._json("POST", path, status=202, data=sent, headers=JSON)

    async def pdf(self, document: bytes) -> str:
        """Submit a PDF as a raw body, silently: narrations have tests of their own. The job's id."""
        path, sent = "/documents?user_id=reader&narrate=false", io.BytesIO(document)
        job: str = (await self._json("POST", path, status=202, data=sent, headers=PDF))["job_id"]
        return job

    async def status(self, job_id: str) -> Json:
        return await self._json("GET", f"/batch-status/{job_id}")

    async def ended(self, job_id: str, *, within_s: float = 30) -> Json:
        """The job's status once it has ended."""

        async def status() -> Json:
            return await self.status(job_id)

        return await eventually(status, within_s=within_s, until=lambda answer: bool(answer["stage"] == "ended"))

    async def document(self, job_id: str) -> Json:
        """The result, as JSON."""
        return await self._json("GET", f"/documents/{job_id}")

    async def report(self, job_id: str) -> str:
        """The result, as Markdown."""
        async with self._session.get(f"/documents/{job_id}", headers=MARKDOWN) as response:
            assert response.status == 200
            assert response.content_type == "text/markdown"
            return await response.text()

    async def cancel(self, job_id: str) -> Json:
        return await self._json("POST", f"/cancel-job/{job_id}")

    async def health(self) -> Json:
        return await self._json("GET", "/health")

    async def _json(self, method: str, path: str, *, status: int = 200, **more: Any) -> Json:
        async with self._session.request(method, path, **more) as response:
            body = await response.read()
            assert response.status == status, body
            answer: Json = msgspec.json.decode(body)
            return answer

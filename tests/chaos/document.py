"""A document of a soak: how large, of which kind, and what its client does and has been told."""

from __future__ import annotations

import random
import uuid

import msgspec
import pybase64

from tests import pages
from tests.chaos.scale import Scale
from tests.faults.verdict import Asked

_IMAGE_KB = 12
_CANCELLED, _RETRIED = 0.12, 0.5


class Document:
    """A document and what its client has been told of it."""

    def __init__(self, number: int, source: random.Random, scale: Scale, *, seed: int) -> None:
        self.id = str(uuid.UUID(int=source.getrandbits(128), version=4))
        self.pages = source.choice([3, 3, 5, 8, 12, 20, 30, 60, scale.longest])
        self.pages = min(self.pages, scale.longest)
        self.is_pdf = source.random() < 0.12
        self.narrate = source.random() < 0.4
        self.cancel_after_s = source.uniform(0.2, 15) if source.random() < _CANCELLED else None
        self.retried = source.random() < _RETRIED
        self.seed = seed * 100_000 + number
        self.tokens: tuple[str, ...] = ()
        self.cancelled = False
        self.ended = False
        self.seen: list[tuple[float, int, str]] = []
        """Of this rev: when (monotonic), progress and status were what they had not been before."""

    def body(self) -> tuple[str, dict[str, str], bytes]:
        """Path, headers and body of its submission: the same each time."""
        narrate = str(self.narrate).lower()
        if self.is_pdf:
            path = f"/documents?job_id={self.id}&user_id=chaos&narrate={narrate}"
            return path, {"Content-Type": "application/pdf"}, pages.pdf(self.pages, seed=self.seed)
        images = [pages.page_image(n, seed=self.seed, size_kb=_IMAGE_KB) for n in range(1, self.pages + 1)]
        self.tokens = tuple(pages.token(image) for image in images)
        body = {
            "job_id": self.id,
            "user_id": "chaos",
            "images_base64": [pybase64.b64encode_as_string(image) for image in images],
            "num_pages": len(images),
            "file_type": "jpeg",
        }
        path = f"/process-large-document?narrate={narrate}"
        return path, {"Content-Type": "application/json"}, msgspec.json.encode(body)

    def asked(self) -> Asked:
        return Asked(
            id=self.id,
            pages=self.pages,
            tokens=self.tokens,
            narrate=self.narrate and not self.cancelled,  # a cancel after its end stops its narration
            cancelled=self.cancelled,
        )

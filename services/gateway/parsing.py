"""The JSON body of POST /process-large-document, parsed as it streams in. Pure: bytes in, page images out.

The body is `{job_id, user_id, images_base64: [...], num_pages, file_type}` with its keys in any order. What is held at
any time is one unfinished string; unknown keys are skipped, so that newer clients are understood.
"""

from __future__ import annotations

import binascii
from typing import ClassVar

import ijson
import pybase64

from services.gateway.problems import Problem

IMAGES = "images_base64"
_BACKEND = ijson.get_backend("yajl2_c")
_LONGEST_OTHER = 64_000  # bytes of base64 that any piece of JSON may have on top of the largest image

MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\xff\xd8\xff", 0, "jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "png"),
    (b"WEBP", 8, "webp"),
    (b"GIF8", 0, "gif"),
    (b"II*\x00", 0, "tiff"),
    (b"MM\x00*", 0, "tiff"),
    (b"BM", 0, "bmp"),
)
"""Bytes, where they stand, and what they mark."""


class Submission:
    """Push the body in by `feed`, end it by `close`; the scalar fields are then known. Raises Problem."""

    FIELDS: ClassVar[dict[str, type]] = {"job_id": str, "user_id": str, "num_pages": int, "file_type": str}

    def __init__(self, *, max_image_bytes: int) -> None:
        self.job_id: str | None = None
        self.user_id: str | None = None
        self.num_pages: int | None = None
        self.file_type: str | None = None
        self._max_image_bytes = max_image_bytes
        self._longest = max_image_bytes * 4 // 3 + _LONGEST_OTHER
        self._events = ijson.sendable_list()
        self._parser = _BACKEND.basic_parse_coro(self._events)
        self._fed = 0
        self._event_at = 0
        self._depth = 0
        self._key = ""
        self._seen: set[str] = set()
        self._images = 0

    def feed(self, data: bytes) -> list[str]:
        """Push some of the body; answers the images that are now complete, as they stand in the JSON."""
        self._fed += len(data)
        try:
            self._parser.send(data)
        except (ijson.JSONError, SystemError) as error:  # SystemError: its way to tell of an integer of 5,000 digits
            raise self._bad_json(error) from error
        images = [image for event, value in self._events if (image := self._take(event, value)) is not None]
        if self._events:
            self._event_at = self._fed
        elif self._fed - self._event_at > self._longest:
            raise Problem(
                "image-too-large",
                f"After image {self._images} comes a value of more than {self._longest:,} bytes; a page image may have "
                f"{self._max_image_bytes:,} bytes before base64. Send a smaller image.",
                limit_bytes=self._max_image_bytes,
            )
        self._events.clear()
        return images

    def close(self) -> None:
        """The body is over. Raises Problem for JSON that is not, or for a body without images."""
        try:
            self._parser.close()
        except ijson.JSONError as error:
            raise self._bad_json(error) from error
        if not self._images:
            raise Problem("no-images", f"{IMAGES} holds no image: send each page as one base64 string of it.")
        if self.num_pages is not None and self.num_pages != self._images:
            raise Problem(
                "page-count-mismatch",
                f"num_pages is {self.num_pages}, but {IMAGES} holds {self._images} images: one of the two is wrong.",
                num_pages=self.num_pages,
                images=self._images,
            )

    def _bad_json(self, error: Exception) -> Problem:
        lines = str(error).removeprefix("b'").replace("\\n", "\n").splitlines()
        what = lines[0].strip() if lines and isinstance(error, ijson.JSONError) else "a number is too long"
        return Problem("bad-json", f"The body is not valid JSON, within its first {self._fed:,} bytes: {what}")

    def _take(self, event: str, value: object) -> str | None:
        """Follow the structure; answers the image if this event is one."""
        if event.startswith("end_"):
            self._depth -= 1
            return None
        if self._depth == 0:
            if event != "start_map":
                raise Problem("bad-json", "The body is not a JSON object: send {job_id, images_base64, ...}.")
            self._depth = 1
            return None
        if self._depth == 1:
            if event == "map_key":
                self._key = str(value)
            else:
                self._field(event, value)
        elif self._depth == 2 and self._key == IMAGES:
            if event != "string":
                number = self._images + 1
                told = f"Image {number} is not a string: send it as base64 or as a data URL."
                raise Problem("bad-image", told, image=number)
            self._images += 1
            return str(value)
        if event.startswith("start_"):
            self._depth += 1
        return None

    def _field(self, event: str, value: object) -> None:
        """A value of the top object begins."""
        if self._key not in self.FIELDS and self._key != IMAGES:
            return
        if self._key in self._seen:
            raise Problem("invalid-field", f"{self._key} appears twice in the body: send it once.")
        self._seen.add(self._key)
        if self._key == IMAGES:
            if event != "start_array":
                raise Problem("invalid-field", f"{IMAGES} is not a list: send a list of base64 strings.")
            return
        kind = self.FIELDS[self._key]
        if event == "null":
            return
        if type(value) is not kind:
            told = "a text" if kind is str else "a whole number"
            raise Problem("invalid-field", f"{self._key} is not {told}: it came as {event.removeprefix('start_')}.")
        setattr(self, self._key, value)


def decode(entry: str, number: int) -> bytes:
    """The bytes of a base64 string or data URL; `number` (1-based) names it. Raises Problem if it is neither."""
    if entry.startswith("data:"):
        head, comma, entry = entry.partition(",")
        if not comma or not head.endswith(";base64"):
            told = f"Image {number} is a data URL without base64: send data:image/jpeg;base64,..."
            raise Problem("bad-image", told, image=number)
    try:
        return pybase64.b64decode(entry, validate=True)
    except (binascii.Error, ValueError):
        pass  # perhaps with line breaks, as MIME writes it
    try:
        return pybase64.b64decode("".join(entry.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem("bad-image", f"Image {number} is not base64: {error}.", image=number) from error


def image_type(data: bytes) -> str | None:
    """What the first bytes say: jpeg, png, webp, gif, tiff, bmp; None for anything else."""
    for magic, offset, name in MAGIC:
        if data.startswith(magic, offset):
            return name
    return None


def check_image(data: bytes, number: int, *, max_bytes: int) -> None:
    """Raises Problem unless it can be a page image."""
    if len(data) > max_bytes:
        raise Problem(
            "image-too-large",
            f"Image {number} has {len(data):,} bytes, more than the {max_bytes:,} that are taken: send a smaller one.",
            image=number,
            limit_bytes=max_bytes,
        )
    if image_type(data) is None:
        head = data[:8].hex(" ") or "nothing"
        raise Problem(
            "bad-image",
            f"Image {number} is neither JPEG, PNG, WebP, GIF, TIFF nor BMP: it begins with {head}.",
            image=number,
        )

"""What the service and its render process say to each other: orders in, one answer each, in the same order.

A message is a length (4 bytes, big-endian) and MessagePack. No pickle: the render process reads strangers' files,
and whoever took it over must not be able to run code in the service.
"""

from __future__ import annotations

from typing import BinaryIO, ClassVar

import msgspec

LENGTH_BYTES = 4


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How page images are made; the same for the whole life of a render process."""

    dpi: int
    """Resolution of rendered PDF pages, unless `max_side` asks for less."""
    quality: int
    """Of the JPEG encoder, 1 to 100."""
    max_side: int
    """Longer side of an image made here, in pixels: no bitmap is larger than max_side² × 4 bytes."""
    keep_side: int
    """Longer side up to which an uploaded image is left as it is, in pixels."""
    keep_bytes: int
    """Size up to which an uploaded image is left as it is."""


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all orders. `path`: the file, on this machine."""

    thing: ClassVar[str]
    """What a sentence about a failure calls it."""
    path: str


class CountPages(Order, frozen=True, kw_only=True, tag=True):
    """How many pages has this PDF? Answer: PageCount."""

    thing: ClassVar[str] = "The document"


class RenderPage(Order, frozen=True, kw_only=True, tag=True):
    """Make an image of this page (0-based) of a PDF. Answer: Picture."""

    thing: ClassVar[str] = "The page"
    index: int


class TakeImage(Order, frozen=True, kw_only=True, tag=True):
    """Make a page image of this image file. Answer: Picture, without bytes where the file serves as it is."""

    thing: ClassVar[str] = "The image"


class PageCount(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """At least 1."""

    pages: int


class Picture(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A page image and the page's text layer, stripped; empty where there is none. `blank`: nothing stands on it."""

    jpeg: bytes = b""
    text: str = ""
    blank: bool = False


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It can't be done, and never will be. `why`: a sentence for people."""

    why: str


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The render process has started; said once, first."""


AnyOrder = CountPages | RenderPage | TakeImage
Answer = PageCount | Picture | Failed | Ready

_ORDERS: msgspec.msgpack.Decoder[AnyOrder] = msgspec.msgpack.Decoder(AnyOrder)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def pack(message: AnyOrder | Answer) -> bytes:
    """A message as it travels."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def unpack_answer(body: bytes) -> Answer:
    """The answer in a message without its length. Raises msgspec.ValidationError when it is none."""
    return _ANSWERS.decode(body)


def read_order(stream: BinaryIO) -> AnyOrder | None:
    """The next order; None at the end of the stream. Blocks."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    return _ORDERS.decode(stream.read(int.from_bytes(length, "big")))

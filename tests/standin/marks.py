"""How an image proves which one it is: by a mark in its bytes that holds only while they are untouched.

`tests/pages.py` puts `quire-page <number> <digest>` near the start of a file (a JPEG comment, a PNG text chunk, a
chunk of its own in WebP). The digest is of everything after the mark, so that an image which was decoded and
encoded again cannot carry it on: such an image, or a foreign one, is named by the SHA-256 of its bytes.
"""

from __future__ import annotations

import re
from hashlib import sha256

_MARK = re.compile(rb"quire-page (\d{8}) ([0-9a-f]{16})")
GAP = 4  # bytes after the mark that are not hashed: a PNG chunk ends in a checksum of the mark itself
_REACH = 128  # bytes; the mark stands within the first of them

TOKEN = re.compile(r"\b(?:page-\d+|image)-[0-9a-f]{16}\b")
"""Finds tokens in text."""


def mark(number: int, rest: bytes) -> bytes:
    """The mark of page `number` (below 100 million) of an image whose bytes after mark and gap are `rest`."""
    return b"quire-page %08d %s" % (number, sha256(rest).hexdigest()[:16].encode())


def token(image: bytes) -> str:
    """`page-7-<16 hex digits>` for an untouched image of tests/pages.py, else `image-<16 hex digits>`."""
    found = _MARK.search(image, 0, _REACH)
    if found and sha256(memoryview(image)[found.end() + GAP :]).hexdigest()[:16].encode() == found[2]:
        return f"page-{int(found[1])}-{found[2].decode()}"
    return f"image-{sha256(image).hexdigest()[:16]}"


def page(token: str) -> int:
    """The page number that a token carries; 0 if none."""
    kind, _, rest = token.partition("-")
    return int(rest.partition("-")[0]) if kind == "page" else 0


def is_image(data: bytes) -> bool:
    """Whether this begins as JPEG, PNG or WebP do."""
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")

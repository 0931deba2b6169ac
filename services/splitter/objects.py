"""What stands at a place of a PDF file: told at a glance, without knowing the rest of the file.

The question is whether pdfium may go without it on its way through the tree of pages: whether it holds nothing but
leaves of the tree, or nothing of it. In doubt the answer is no, and costs memory, never a page.
Source: ISO 32000-1, 7.7.3 (the tree of pages) and 7.5.7 (object streams).
"""

from __future__ import annotations

import os
import re
import zlib

HEAD_BYTES = 2048  # of an object; the dictionary of a page has 200, with fifty links on it 1,000
MOST_STREAM_BYTES = 1 << 18  # of an object stream, packed; with the usual 100 to 200 objects it has 4,000
MOST_UNPACKED_BYTES = 1 << 20

_OBJECT = re.compile(rb"\s*\d+\s+\d+\s+obj\b([^(%#]*?)endobj\b")
"""A whole object without strings, comments and escapes, in which an `endobj` or a `/Kids` could be disguised."""
_PAGE = re.compile(rb"/Type\s*/Page\b")
_STREAM = re.compile(rb"obj\s*<<([^(%#<>]*)>>\s*stream\r?\n\Z")
_OBJECTS = re.compile(rb"/Type\s*/ObjStm\b")
_PACKED = re.compile(rb"/Filter\s*/FlateDecode\b")
_FIRST = re.compile(rb"/First\s+(\d+)\b")
_INDEX = re.compile(rb"[\d\s]+")
_REFERENCES = re.compile(rb"\s*\[\s*\d+\s+\d+\s+R\b")
"""A list of references: it may be the list of an inner node's kids."""


def is_dispensable(fd: int, position: int, size: int) -> bool:
    """Whether pdfium may go without these bytes. Raises OSError where the file can't be read."""
    if is_page(os.pread(fd, HEAD_BYTES, position)):
        return True
    before = max(0, position - HEAD_BYTES)
    stream = _STREAM.search(os.pread(fd, position - before, before))
    if not stream or not _OBJECTS.search(stream[1]) or not _PACKED.search(stream[1]) or b"/DecodeParms" in stream[1]:
        return False
    first = _FIRST.search(stream[1])
    return first is not None and size <= MOST_STREAM_BYTES and has_no_node(os.pread(fd, size, position), int(first[1]))


def is_page(head: bytes) -> bool:
    """Whether an object is a leaf of the tree of pages. `head`: what stands in the file from its number on."""
    found = _OBJECT.match(head)
    return found is not None and _PAGE.search(found[1]) is not None and b"/Kids" not in found[1]


def has_no_node(packed: bytes, first: int) -> bool:
    """Whether an object stream holds no inner node of the tree of pages, and no list that may belong to one.

    `first`: where the first object begins in it, unpacked; before it stand the objects' numbers and places.
    """
    unpacking = zlib.decompressobj()
    try:
        objects = unpacking.decompress(packed, MOST_UNPACKED_BYTES)
    except zlib.error:  # such as one that is encrypted
        return False
    index = objects[:first]
    if not unpacking.eof or b"/Kids" in objects or b"#" in objects or not _INDEX.fullmatch(index):
        return False
    return not any(_REFERENCES.match(objects, first + int(place)) for place in index.split()[1::2])

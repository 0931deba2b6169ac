"""The documents that are read: made once, in a temporary folder, before anything is timed."""

from __future__ import annotations

from pathlib import Path

import pybase64
import pypdfium2

from benchmarks.parameters import IMAGES
from tests import pages


def pages_of(path: Path) -> int:
    """How many pages a PDF has."""
    with pypdfium2.PdfDocument(path) as document:
        return len(document)


def images(folder: Path, size_kb: int) -> Path:
    """The body of POST /process-large-document: IMAGES page images of about this size, no two alike."""
    return images_of(folder, IMAGES, seed=0, size_kb=size_kb)


def images_of(folder: Path, count: int, *, seed: int, size_kb: int) -> Path:
    """The same of `count` page images; another seed: another document."""
    path = folder / f"images-{count}-{seed}-{size_kb}.json"
    if path.exists():
        return path
    with path.open("wb") as out:
        out.write(b'{"user_id":"benchmark","file_type":"image","num_pages":%d,"images_base64":[' % count)
        for number in range(1, count + 1):
            out.write(b',"' if number > 1 else b'"')
            out.write(pybase64.b64encode(pages.page_image(number, seed=seed, size_kb=size_kb)) + b'"')
        out.write(b"]}")
    return path

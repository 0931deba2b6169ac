"""The documents that are read: made once, in a temporary folder, before anything is timed."""

from __future__ import annotations

from pathlib import Path

import pybase64
import pypdfium2

from benchmarks.parameters import IMAGES, PDF_PAGES
from cli.datafolder import PROJECT
from tests import pages

SAMPLE = PROJECT / "samples" / "introduction-to-r.pdf"


def pages_of(path: Path) -> int:
    """How many pages a PDF has."""
    with pypdfium2.PdfDocument(path) as document:
        return len(document)


def thousand_pages(folder: Path) -> Path:
    """A PDF of PDF_PAGES pages: the sample's, over and over.

    Each time round the pages are one point higher, so that no two make the same image: a page that the fleet has
    read before might cost it no call.
    """
    path = folder / "pages.pdf"
    if path.exists():
        return path
    sample, made = pypdfium2.PdfDocument(SAMPLE), pypdfium2.PdfDocument.new()
    while len(made) < PDF_PAGES:
        made.import_pages(sample, list(range(min(len(sample), PDF_PAGES - len(made)))))
    for index in range(PDF_PAGES):
        page = made[index]
        left, bottom, right, top = page.get_mediabox()
        page.set_mediabox(left, bottom, right, top + index // len(sample))
        page.close()
    made.save(path)
    made.close()
    sample.close()
    return path


def images(folder: Path, size_kb: int) -> Path:
    """The body of POST /process-large-document: IMAGES page images of about this size, no two alike."""
    path = folder / f"images-{size_kb}.json"
    if path.exists():
        return path
    with path.open("wb") as out:
        out.write(b'{"user_id":"benchmark","file_type":"image","num_pages":%d,"images_base64":[' % IMAGES)
        for number in range(1, IMAGES + 1):
            out.write(b',"' if number > 1 else b'"')
            out.write(pybase64.b64encode(pages.page_image(number, size_kb=size_kb)) + b'"')
        out.write(b"]}")
    return path

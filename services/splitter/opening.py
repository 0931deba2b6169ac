"""A PDF that is open, in which the way to a far page costs no memory. For the render process only.

pdfium goes to a page through the tree of pages, from the first one on, and keeps the dictionary of every page that it
passes until the document is closed: 1.7 kB each, and 3.2 kB where they are compressed (measured). What it can't read
there it counts as a page, and goes on (CPDF_Document::TraversePDFPages). So pages are hidden from it on the way.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from services.splitter.reader import Reader
from shared.errors import Refused

_WHY = {
    pdfium.FPDF_ERR_PASSWORD: "The PDF is protected by a password: submit it without one.",
    pdfium.FPDF_ERR_SECURITY: "The PDF is protected in a way that is not supported: submit it without.",
}
_DAMAGED = "The file can't be opened as a PDF: it is damaged, cut short, or something else than a PDF."


class Opening:
    """One opening of a PDF, to go forward in. Raises Refused when it can't be opened, or has no pages."""

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise Refused("The uploaded file is no longer in the blob store.")
        self._reader = Reader(path)
        try:
            self._document = _opened(self._reader)
        except Refused:
            self._reader.close()
            raise
        self._next = 0
        self.taken = 0
        """Pages taken so far."""

    def __len__(self) -> int:
        """How many pages the PDF says it has, at least 1."""
        return len(self._document)

    def is_past(self, index: int) -> bool:
        """True where this page (0-based) lies behind: it may have been hidden, and takes another opening."""
        return index < self._next

    def take(self, index: int) -> pypdfium2.PdfPage:
        """A page (0-based) that does not lie behind. The caller closes it. Raises PdfiumError where it is damaged."""
        if index > self._next:
            with self._reader.hiding_pages(), suppress(pypdfium2.PdfiumError):  # the last one is hidden, too
                self._document.get_page_size(index - 1)
        self._next = index + 1
        self.taken += 1
        return self._document[index]

    def close(self) -> None:
        """Close the document and its file."""
        self._document.close()
        self._reader.close()


def _opened(reader: Reader) -> pypdfium2.PdfDocument:
    # The raw call, because pdfium's last error is not reset by a document that opens and has no pages.
    raw = pdfium.FPDF_LoadCustomDocument(reader.access, None)
    if not raw:
        raise Refused(_WHY.get(pdfium.FPDF_GetLastError(), _DAMAGED))
    document = pypdfium2.PdfDocument(raw)
    with suppress(pypdfium2.PdfiumError):  # then the pages are shown without the form
        document.init_forms()  # else what people have filled in is not drawn
    if not len(document):
        document.close()
        raise Refused("The PDF has no pages.")
    return document

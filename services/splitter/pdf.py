"""Reads PDFs with pdfium. For the render process only: pdfium bears one thread, even for separate documents."""

from __future__ import annotations

import ctypes
import re
from collections import OrderedDict

import pypdfium2
import pypdfium2.raw as pdfium

from services.splitter import ink, jpeg
from services.splitter.opening import Opening
from services.splitter.orders import Look, Picture
from shared.errors import Refused

PAGES_PER_OPENING = 32  # pdfium keeps every font it met until the document is closed; opening again costs 10 ms
OPEN_DOCUMENTS = 2  # batches of two documents may be rendered in turns
MOST_PICTURE_PIXELS = 90_000_000  # as of uploaded images; what is larger may be left out, and is asked for only then

_HYPHEN = re.compile("[\x02\ufffe]\n?(?=([^\\W\\d_])?)")
"""PDFium's marks of a hyphen at a line's end, where it joins the word itself: "pack\\x02ages", "S\\x02Plus"."""
_NOISE = re.compile("[\x00-\x08\x0b-\x1f\x7f\uffff]")
"""Control characters but tab and newline."""


class Documents:
    """The PDFs that are open. Memory stays flat because none stays open for long."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Opening] = OrderedDict()
        self._canvas = _Canvas()

    def count_pages(self, path: str) -> int:
        """How many pages the PDF says it has, at least 1. Raises Refused when it can't be opened."""
        return len(self._opening(path))

    def render(self, path: str, index: int, look: Look) -> Picture:
        """The page's image and text. Raises Refused when the document or the page can't be read."""
        opening = self._opening(path)
        if opening.is_past(index) or opening.taken >= PAGES_PER_OPENING:
            self._close(path)
            opening = self._opening(path)
        try:
            page = opening.take(index)
            try:
                return _picture(page, look, self._canvas)
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            raise Refused("The page is damaged and can't be rendered.") from error

    def close(self) -> None:
        """Close all, and give the memory back to the system."""
        for path in list(self._open):
            self._close(path)

    def _opening(self, path: str) -> Opening:
        if path not in self._open:
            if len(self._open) >= OPEN_DOCUMENTS:
                self._close(next(iter(self._open)))
            self._open[path] = Opening(path)
        self._open.move_to_end(path)
        return self._open[path]

    def _close(self, path: str) -> None:
        self._open.pop(path).close()
        _trim()


class _Canvas:
    """The memory that pages are drawn into, one after the other: new memory for each costs a tenth of the time."""

    def __init__(self) -> None:
        self._buffer: ctypes.Array[ctypes.c_ubyte] = (ctypes.c_ubyte * 0)()

    def bitmap(self, width: int, height: int, *, format: int, rev_byteorder: bool) -> pypdfium2.PdfBitmap:
        """What pypdfium2 calls a bitmap maker; 4 bytes a pixel. The bitmap before is overwritten."""
        if len(self._buffer) < 4 * width * height:
            self._buffer = (ctypes.c_ubyte * 0)()  # never two at a time: a page has 8 MB
            self._buffer = (ctypes.c_ubyte * (4 * width * height))()
        return pypdfium2.PdfBitmap.new_native(width, height, format, rev_byteorder, buffer=self._buffer)


def _picture(page: pypdfium2.PdfPage, look: Look, canvas: _Canvas) -> Picture:
    image, text = _image(page, look, canvas), _text(page)
    if text or not ink.is_blank_jpeg(image):
        return Picture(jpeg=image, text=text)
    if any(_is_lost(each) for each in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE])):
        raise Refused("The picture on the page is damaged or too large, so that nothing of it can be shown.")
    return Picture(jpeg=image, blank=True)


def _is_lost(image: pypdfium2.PdfImage) -> bool:
    """pdfium leaves a picture that it can't decode or hold out without a word, and the page looks blank."""
    width, height = image.get_px_size()
    if width * height > MOST_PICTURE_PIXELS:
        return True
    try:
        image.get_bitmap().close()
    except pypdfium2.PdfiumError:
        return True
    return False


def _image(page: pypdfium2.PdfPage, look: Look, canvas: _Canvas) -> bytes:
    longest = max(page.get_size())
    # Half a pixel less than the limit, because pdfium's wrapper rounds up.
    scale = min(look.dpi / 72, (look.max_side - 0.5) / longest)  # 72 points an inch
    # On white, four bytes a pixel: pdfium works a fifth faster so. The page's own rotation is respected.
    bitmap = page.render(scale=scale, prefer_bgrx=True, bitmap_maker=canvas.bitmap)
    try:
        return jpeg.encode(bitmap.to_numpy(), look.quality, "BGRX")
    finally:
        bitmap.close()


def _text(page: pypdfium2.PdfPage) -> str:
    try:
        layer = page.get_textpage()
    except pypdfium2.PdfiumError:
        return ""  # the image is what counts
    try:
        return tidy(layer.get_text_bounded())
    finally:
        layer.close()


def tidy(text: str) -> str:
    """A text layer without control characters; hyphens at line ends are kept where a capital or a digit follows."""
    return _NOISE.sub("", _HYPHEN.sub(lambda mark: "" if (mark[1] or "").islower() else "-", text)).strip()


def _trim() -> None:
    """glibc keeps what was freed (measured: 369 MB after 930 pages, 47 MB when asked); other systems don't."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)

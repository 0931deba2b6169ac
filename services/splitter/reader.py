"""The file that pdfium reads, in which pages can be hidden from it. For the render process only."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2.raw as pdfium

HEAD_BYTES = 2048  # of an object; the dictionary of a page has 200, with fifty links on it 1,000

_OBJECT = re.compile(rb"\s*\d+\s+\d+\s+obj\b([^(%#]*?)endobj\b")
"""A whole object without strings, comments and escapes, in which an `endobj` or a `/Kids` could be disguised."""
_PAGE = re.compile(rb"/Type\s*/Page\b")

_libc = ctypes.CDLL(None)
_libc.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
_libc.pread.restype = ctypes.c_ssize_t


class Reader:
    """A file that is open for pdfium. Raises OSError where it can't be opened."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._hiding = False
        self._hidden_at = -1
        self._access = pdfium.FPDF_FILEACCESS(m_FileLen=os.fstat(self._fd).st_size)
        self._access.m_GetBlock = type(self._access.m_GetBlock)(self._read)

    @property
    def access(self) -> pdfium.FPDF_FILEACCESS:
        """For FPDF_LoadCustomDocument. The reader must outlive the document."""
        return self._access

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        self._access.m_GetBlock = type(self._access.m_GetBlock)()  # it refers back to the reader

    @contextmanager
    def hiding_pages(self) -> Iterator[None]:
        """Inside the block, objects that are pages beyond doubt can't be read."""
        self._hiding = True
        try:
            yield
        finally:
            self._hiding = False

    def _read(self, _: object, position: int, buffer: object, size: int) -> int:
        """Straight into pdfium's memory: it may ask for a picture of 100 MB. Returns 0 where that fails."""
        if self._hiding and self._is_hidden(position):
            return 0
        return int(_libc.pread(self._fd, buffer, size, position) == size)

    def _is_hidden(self, position: int) -> bool:
        if position != self._hidden_at and is_page(os.pread(self._fd, HEAD_BYTES, position)):
            self._hidden_at = position  # pdfium tries each twice
        return position == self._hidden_at


def is_page(head: bytes) -> bool:
    """Whether an object is a page, and no inner node of the tree of pages. `head`: what stands in the file from
    the object's number on. In doubt it is none.
    """
    found = _OBJECT.match(head)
    return found is not None and _PAGE.search(found[1]) is not None and b"/Kids" not in found[1]

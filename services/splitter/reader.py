"""The file that pdfium reads, in which pages can be hidden from it. For the render process only."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial

import pypdfium2.raw as pdfium

from services.splitter import objects

_libc = ctypes.CDLL(None)
_libc.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
_libc.pread.restype = ctypes.c_ssize_t


class Reader:
    """A file that is open for pdfium. Raises OSError where it can't be opened."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._hiding = False
        # Remembered, because pdfium tries an object twice, and an object stream for each object in it.
        self._is_dispensable = lru_cache(maxsize=64)(partial(objects.is_dispensable, self._fd))
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
        """Inside the block, what pdfium may go without on its way to a page can't be read."""
        self._hiding = True
        try:
            yield
        finally:
            self._hiding = False

    def _read(self, _: object, position: int, buffer: object, size: int) -> int:
        """Straight into pdfium's memory: it may ask for a picture of 100 MB. Returns 0 where that fails."""
        with suppress(OSError):  # then the reading below fails as well
            if self._hiding and self._is_dispensable(position, size):
                return 0
        return int(_libc.pread(self._fd, buffer, size, position) == size)

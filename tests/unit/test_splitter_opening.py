"""Going forward in a PDF while pages are hidden from pdfium arrives at the right page, whatever the tree is like."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
import pytest
import simplejpeg

from services.splitter.opening import Opening
from services.splitter.orders import Look
from services.splitter.pdf import Documents
from shared.errors import Refused

LOOK = Look(dpi=72, quality=80, max_side=300, keep_side=4096, keep_bytes=20_000_000)

Tree = list["int | Tree"]
"""Pages by their number, and inner nodes. 0: a page that is not there."""
FLAT: Tree = [*range(1, 61)]
NESTED: Tree = [1, [2, [3, 4], 5], [[[6]], 7], *range(8, 30), [[*range(30, 59)], 59], 60]
DAMAGED: Tree = [*range(1, 20), 0, *range(21, 41), [0, *range(42, 61)]]


class Book:
    """The objects of a PDF whose page n is n points wider than 100. `apart`: lists of kids are objects, too."""

    def __init__(self, tree: Tree, *, apart: bool = False) -> None:
        self._apart = apart
        self._objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
        self._node(tree, parent=0)

    def plain(self) -> bytes:
        """The file as PDF 1.4 knows it."""
        out = b"%PDF-1.4\n"
        offsets = [b"0000000000 65535 f \n"]
        for number, body in enumerate(self._objects, 1):
            offsets.append(b"%010d 00000 n \n" % len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        return out + table % (len(offsets), b"".join(offsets), len(offsets)) + b"startxref\n%d\n%%%%EOF\n" % len(out)

    def packed(self, each: int) -> bytes:
        """The file as PDF 1.5 knows it: so many objects are compressed together. (ISO 32000-1, 7.5.7 and 7.5.8)"""
        out = b"%PDF-1.5\n"
        entries = [(0, 0, 0)]
        streams: list[tuple[int, int, int]] = []
        for begin in range(0, len(self._objects), each):
            number = len(self._objects) + len(streams) + 1
            streams.append((1, len(out), 0))
            bodies, index = b"", b""
            for place, body in enumerate(self._objects[begin : begin + each]):
                entries.append((2, number, place))
                index += b"%d %d " % (begin + place + 1, len(bodies))
                bodies += body + b"\n"
            about = b"/Type /ObjStm /N %d /First %d" % (len(index.split()) // 2, len(index))
            out += _stream(number, about, index + bodies)
        number = len(self._objects) + len(streams) + 1
        entries += [*streams, (1, len(out), 0)]
        table = b"".join(bytes([kind]) + a.to_bytes(4, "big") + b.to_bytes(2, "big") for kind, a, b in entries)
        last = _stream(number, b"/Type /XRef /Size %d /W [1 4 2] /Root 1 0 R" % len(entries), table)
        return out + last + b"startxref\n%d\n%%%%EOF\n" % len(out)

    def _node(self, tree: Tree, parent: int) -> int:
        """Its object's number."""
        number = self._add(b"")
        kids = [self._node(kid, number) if isinstance(kid, list) else self._page(kid, number) for kid in tree]
        listed = b"[%s]" % b" ".join(b"%d 0 R" % kid for kid in kids)
        if self._apart:
            listed = b"%d 0 R" % self._add(listed)
        up = b"/Parent %d 0 R" % parent if parent else b""
        self._objects[number - 1] = b"<< /Type /Pages /Count %d /Kids %s %s >>" % (_pages(tree), listed, up)
        return number

    def _page(self, page: int, parent: int) -> int:
        box = b"/MediaBox [0 0 %d 100]" % (100 + page)
        return self._add(b"<< /Type /Page /Parent %d 0 R %s >>" % (parent, box) if page else b"null")

    def _add(self, body: bytes) -> int:
        self._objects.append(body)
        return len(self._objects)


def _stream(number: int, about: bytes, content: bytes) -> bytes:
    packed = zlib.compress(content)
    head = b"%d 0 obj\n<< %s /Length %d /Filter /FlateDecode >>\nstream\n" % (number, about, len(packed))
    return head + packed + b"\nendstream\nendobj\n"


def _pages(tree: Tree) -> int:
    return sum(_pages(kid) if isinstance(kid, list) else 1 for kid in tree)


FORMS: dict[str, Callable[[Tree], bytes]] = {
    "plain": lambda tree: Book(tree).plain(),
    "kids apart": lambda tree: Book(tree, apart=True).plain(),
    "packed": lambda tree: Book(tree).packed(20),
    "packed one by one": lambda tree: Book(tree).packed(1),
    "packed, kids apart": lambda tree: Book(tree, apart=True).packed(7),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[Tree], bytes]:
    return FORMS[request.param]


@pytest.fixture(params=[FLAT, NESTED], ids=["flat", "nested"])
def path(request: pytest.FixtureRequest, form: Callable[[Tree], bytes], tmp_path: Path) -> str:
    return stored(form(request.param), tmp_path)


def stored(book: bytes, folder: Path) -> str:
    found = folder / "source.pdf"
    found.write_bytes(book)
    return str(found)


@pytest.fixture
def documents() -> Iterator[Documents]:
    found = Documents()
    yield found
    found.close()


def taken(opening: Opening, index: int) -> int:
    """The number that the page at this index has."""
    page = opening.take(index)
    try:
        return round(page.get_width()) - 100
    finally:
        page.close()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 29, 58])
@pytest.mark.parametrize("first", [0, 1, 5, 59])
def test_the_page_arrived_at_is_the_one_asked_for(path: str, first: int, step: int) -> None:
    opening = Opening(path)
    asked = range(first, len(opening), step)
    assert [taken(opening, index) for index in asked] == [index + 1 for index in asked]
    opening.close()


def test_pages_that_are_not_there_shift_no_other(form: Callable[[Tree], bytes], tmp_path: Path) -> None:
    opening = Opening(stored(form(DAMAGED), tmp_path))
    assert taken(opening, 10) == 11
    with pytest.raises(pypdfium2.PdfiumError):
        opening.take(19)
    assert [taken(opening, index) for index in (20, 38, 41, 59)] == [21, 39, 42, 60]
    opening.close()


def test_what_lies_behind_takes_another_opening(path: str) -> None:
    opening = Opening(path)
    assert not opening.is_past(0)
    taken(opening, 30)
    assert [opening.is_past(index) for index in (0, 29, 30, 31)] == [True, True, True, False]
    opening.close()


def shown(documents: Documents, path: str, index: int) -> int:
    """The number of the page that the image shows: at 72 dpi a point is a pixel."""
    _, width, _, _ = simplejpeg.decode_jpeg_header(documents.render(path, index, LOOK).jpeg)
    return int(width) - 100


def test_pages_are_rendered_in_any_order(documents: Documents, path: str) -> None:
    asked = [59, 0, 30, 30, 29, 58, 59]
    assert [shown(documents, path, index) for index in asked] == [index + 1 for index in asked]


def test_a_damaged_page_that_is_asked_for_again_shifts_no_other(documents: Documents, tmp_path: Path) -> None:
    path = stored(Book(DAMAGED).plain(), tmp_path)
    assert shown(documents, path, 21) == 22
    for _ in range(2):
        with pytest.raises(Refused, match="page is damaged"):
            documents.render(path, 19, LOOK)
    assert [shown(documents, path, index) for index in (20, 22, 41)] == [21, 23, 42]

"""Going forward in a PDF while pages are hidden from pdfium arrives at the right page, whatever the tree is like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
import simplejpeg

from services.splitter.opening import Opening
from services.splitter.orders import Look
from services.splitter.pdf import Documents
from services.splitter.reader import is_page
from shared.errors import Refused

LOOK = Look(dpi=72, quality=80, max_side=300, keep_side=4096, keep_bytes=20_000_000)

Tree = list["int | Tree"]
"""Pages by their number, and inner nodes. 0: a page that is not there."""
FLAT: Tree = [*range(1, 61)]
NESTED: Tree = [1, [2, [3, 4], 5], [[[6]], 7], *range(8, 30), [[*range(30, 59)], 59], 60]
DAMAGED: Tree = [*range(1, 20), 0, *range(21, 41), [0, *range(42, 61)]]


class Book:
    """A PDF whose page n is n points wider than 100."""

    def __init__(self, tree: Tree) -> None:
        self._objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
        self._node(tree, parent=0)

    def written(self, path: Path) -> str:
        out = b"%PDF-1.4\n"
        offsets = [b"0000000000 65535 f \n"]
        for number, body in enumerate(self._objects, 1):
            offsets.append(b"%010d 00000 n \n" % len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        xref = b"xref\n0 %d\n%s" % (len(offsets), b"".join(offsets))
        out += xref + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets), len(out))
        path.write_bytes(out)
        return str(path)

    def _node(self, tree: Tree, parent: int) -> int:
        """Its object's number."""
        self._objects.append(b"")
        number = len(self._objects)
        kids = [self._node(kid, number) if isinstance(kid, list) else self._page(kid, number) for kid in tree]
        listed = b" ".join(b"%d 0 R" % kid for kid in kids)
        up = b"/Parent %d 0 R" % parent if parent else b""
        self._objects[number - 1] = b"<< /Type /Pages /Count %d /Kids [%s] %s >>" % (_pages(tree), listed, up)
        return number

    def _page(self, page: int, parent: int) -> int:
        box = b"/MediaBox [0 0 %d 100]" % (100 + page)
        self._objects.append(b"<< /Type /Page /Parent %d 0 R %s >>" % (parent, box) if page else b"null")
        return len(self._objects)


def _pages(tree: Tree) -> int:
    return sum(_pages(kid) if isinstance(kid, list) else 1 for kid in tree)


@pytest.fixture(params=[FLAT, NESTED], ids=["flat", "nested"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return Book(request.param).written(tmp_path / "source.pdf")


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


def test_pages_that_are_not_there_shift_no_other(tmp_path: Path) -> None:
    opening = Opening(Book(DAMAGED).written(tmp_path / "source.pdf"))
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
    path = Book(DAMAGED).written(tmp_path / "source.pdf")
    assert shown(documents, path, 21) == 22
    for _ in range(2):
        with pytest.raises(Refused, match="page is damaged"):
            documents.render(path, 19, LOOK)
    assert [shown(documents, path, index) for index in (20, 22, 41)] == [21, 23, 42]


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"7 0 obj\n<< /Type /Page /Parent 2 0 R >>\nendobj\n", True),
        (b"\r\n 7 12 obj<</Parent 2 0 R/Type/Page>>endobj 8 0 obj << /Kids [] >>", True),
        (b"7 0 obj << /Type /Pages /Kids [8 0 R] >> endobj", False),
        (b"7 0 obj << /Type /Page /Kids [8 0 R] >> endobj", False),
        (b"7 0 obj << /Type /Page /K#69ds [8 0 R] >> endobj", False),
        (b"7 0 obj << /Type /Page /Title (endobj) /Kids [8 0 R] >> endobj", False),
        (b"7 0 obj << /Type /Page % endobj\n /Kids [8 0 R] >> endobj", False),
        (b"7 0 obj << /Type /Page /Parent 2 0 R", False),
        (b"7 0 obj << /Type /ObjStm /N 20 >> stream", False),
        (b"7 0 obj [8 0 R 9 0 R] endobj", False),
        (b"/Type /Page >> endobj", False),
        (b"", False),
    ],
    ids=[
        "a page",
        "an inner node comes after it",
        "an inner node",
        "an inner node that calls itself a page",
        "a disguised inner node",
        "a string that looks like the end",
        "a comment that looks like the end",
        "one that goes on",
        "compressed objects",
        "a list of pages",
        "the rest of one",
        "the end of the file",
    ],
)
def test_what_is_not_a_page_beyond_doubt_is_not_hidden(head: bytes, told: bool) -> None:
    assert is_page(head) is told

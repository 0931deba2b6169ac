"""What pdfium may go without on its way to a page: nothing that could be an inner node of the tree of pages."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from services.splitter.objects import MOST_UNPACKED_BYTES, has_no_node, is_dispensable, is_page

PAGES = b"8 0 9 30 << /Type /Page /Parent 2 0 R >> << /Type /Page /Parent 2 0 R >>"
FIRST = 9
HEAD = b"7 0 obj\n<< /Type /ObjStm /N 2 /First 9 /Length 70 /Filter /FlateDecode >>\nstream\r\n"


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


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        (PAGES, True),
        (b"8 0 9 3  12 << /Type /Font /Widths [1 2 3] /Kin [4 0 R] >>", True),
        (b"8 0 9 12 [500 600 70] << /Type /Page >>", True),
        (PAGES.replace(b"/Page /", b"/Pages /Kids [4 0 R] /"), False),
        (PAGES.replace(b"/Page /", b"/Pages /K#69ds [4 0 R] /"), False),
        (b"8 0 9 12 [11 0 R]    << /Type /Page >>", False),
        (b"8 0 x 12 [500 600 70] << /Type /Page >>", False),
        (b"", False),
        (PAGES + b" " * MOST_UNPACKED_BYTES, False),
    ],
    ids=[
        "pages",
        "something else",
        "a list of numbers",
        "an inner node",
        "a disguised inner node",
        "a list of objects",
        "an index that is none",
        "nothing",
        "one that is too large",
    ],
)
def test_compressed_objects_are_hidden_where_no_inner_node_is_among_them(objects: bytes, told: bool) -> None:
    assert has_no_node(zlib.compress(objects), FIRST) is told


def test_what_cannot_be_unpacked_is_not_hidden() -> None:
    packed = zlib.compress(PAGES)
    assert has_no_node(packed, FIRST)
    assert not has_no_node(packed[:-10], FIRST)
    assert not has_no_node(b"encrypted", FIRST)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (HEAD, True),
        (HEAD.replace(b"/ObjStm", b"/XObject"), False),
        (HEAD.replace(b"/FlateDecode", b"/LZWDecode"), False),
        (HEAD.replace(b"/First", b"/DecodeParms 6 0 R /First"), False),
        (HEAD.replace(b"/First 9", b""), False),
        (HEAD + b"x", False),
    ],
    ids=["an object stream", "another stream", "otherwise packed", "with parameters", "no index", "in the middle"],
)
def test_a_stream_is_known_by_what_stands_before_it(tmp_path: Path, head: bytes, told: bool) -> None:
    packed = zlib.compress(PAGES)
    (tmp_path / "file").write_bytes(b"%PDF-1.5\n" + head + packed + b"\nendstream\nendobj\n")
    with (tmp_path / "file").open("rb") as file:
        assert is_dispensable(file.fileno(), 9 + len(head), len(packed)) is told
        assert not is_dispensable(file.fileno(), 9, len(head))

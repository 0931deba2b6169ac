"""Reading PDFs: what is rendered, what is refused, and with which sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import simplejpeg

from services.splitter.orders import Look
from services.splitter.pdf import PAGES_PER_OPENING, Documents, tidy
from shared.errors import Refused
from tests import pages

LOOK = Look(dpi=50, quality=80, max_side=700, keep_side=4096, keep_bytes=20_000_000)
A4 = b"/MediaBox [0 0 595 842]"
ENCRYPTED = b"/Root 1 0 R /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>"


@pytest.fixture
def documents() -> Iterator[Documents]:
    found = Documents()
    yield found
    found.close()


def stored(folder: Path, data: bytes) -> str:
    path = folder / "source.pdf"
    path.write_bytes(data)
    return str(path)


def drawn(text: str, *, page: bytes = b"", more: tuple[bytes, ...] = ()) -> bytes:
    """A PDF of one A4 page that shows `text`; `page` adds to its dictionary, `more` are objects from number 6 on."""
    content = b"BT /F1 40 Tf 100 700 Td (%s) Tj ET" % text.encode("latin-1")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] /DA (/F1 0 Tf) /DR 5 0 R >> >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R %s /Contents 4 0 R /Resources 5 0 R %s >>" % (A4, page),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>",
        *more,
    )
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, item) for number, item in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer\n<< /Size 20 /Root 1 0 R >>\n%%EOF\n"


def picture(side: int, *, pixels: bytes) -> bytes:
    """A PDF of a page that is one picture, which says that it has `side` × `side` pixels."""
    head = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceRGB" % (
        side,
        side,
    )
    image = b"<< %s /Length %d >>\nstream\n%s\nendstream" % (head, len(pixels), pixels)
    return drawn(") Tj ET q 595 0 0 842 0 0 cm /I Do Q BT (", more=(image,)).replace(
        b"<< /Font", b"<< /XObject << /I 6 0 R >> /Font"
    )


def pixels(jpeg: bytes) -> np.ndarray:
    image: np.ndarray = simplejpeg.decode_jpeg(jpeg, "GRAY")
    return image[:, :, 0]


def test_pages_are_counted(documents: Documents, tmp_path: Path) -> None:
    assert documents.count_pages(stored(tmp_path, pages.pdf(7))) == 7


def test_a_page_has_its_own_image_and_text_on_white(documents: Documents, tmp_path: Path) -> None:
    path = stored(tmp_path, pages.pdf(3))
    first, second = (documents.render(path, index, LOOK) for index in (0, 1))
    assert pages.said(2, of=3) in second.text
    assert pages.said(1, of=3) in first.text
    assert first.jpeg != second.jpeg
    image = pixels(second.jpeg)
    assert image.shape == (585, 414)  # A4 at 50 dpi, rounded up
    assert image[:20].min() > 250
    assert image.min() < 100


def test_a_blank_page_has_an_image_and_no_text(documents: Documents, tmp_path: Path) -> None:
    picture = documents.render(stored(tmp_path, pages.pdf(1, blank={1})), 0, LOOK)
    assert (picture.text, picture.blank) == ("", True)
    assert pixels(picture.jpeg).min() > 250


@pytest.mark.parametrize("mark", [b"0.9 g 60 700 400 2 re f", b"300 30 2 6 re f"], ids=["a faint line", "a small mark"])
def test_a_page_that_shows_anything_is_not_blank(documents: Documents, tmp_path: Path, mark: bytes) -> None:
    path = stored(tmp_path, drawn("").replace(b"BT", mark + b" BT"))
    assert not documents.render(path, 0, msgspec.structs.replace(LOOK, dpi=150, max_side=2400)).blank


def test_a_page_whose_text_cannot_be_seen_is_not_blank(documents: Documents, tmp_path: Path) -> None:
    picture = documents.render(stored(tmp_path, drawn("hidden").replace(b"BT", b"BT 3 Tr")), 0, LOOK)
    assert (picture.text, picture.blank) == ("hidden", False)


@pytest.mark.parametrize(("side", "refused"), [(2, False), (20_000, True), (100_000, True)])
def test_a_picture_that_could_not_be_drawn_makes_no_blank_page(
    documents: Documents, tmp_path: Path, side: int, refused: bool
) -> None:
    path = stored(tmp_path, picture(side, pixels=b"\xff" * 12))
    if not refused:
        assert documents.render(path, 0, LOOK).blank
        return
    with pytest.raises(Refused, match="picture on the page is damaged or too large"):
        documents.render(path, 0, LOOK)


def test_a_page_that_lies_on_its_side_is_set_upright(documents: Documents, tmp_path: Path) -> None:
    picture = documents.render(stored(tmp_path, drawn("sideways", page=b"/Rotate 90")), 0, LOOK)
    assert pixels(picture.jpeg).shape == (414, 585)
    assert picture.text == "sideways"


def test_a_page_as_large_as_a_wall_gets_fewer_dots_an_inch(documents: Documents, tmp_path: Path) -> None:
    poster = pages.pdf(1).replace(A4, b"/MediaBox [0 0 9000 14400]")
    image = pixels(documents.render(stored(tmp_path, poster), 0, LOOK).jpeg)
    assert max(image.shape) == LOOK.max_side


def test_what_people_filled_into_a_form_is_shown(documents: Documents, tmp_path: Path) -> None:
    appearance = b"0 0 0 rg 0 0 300 100 re f"
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ada) /Rect [100 100 400 200] /F 4 /P 3 0 R"
        b" /AP << /N 7 0 R >> >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 300 100] /Length %d >>\nstream\n%s\nendstream"
        % (len(appearance), appearance),
    )
    path = stored(tmp_path, drawn("", page=b"/Annots [6 0 R]", more=field))
    assert pixels(documents.render(path, 0, LOOK).jpeg).min() < 50


def test_the_text_has_no_carriage_returns_and_no_marks_of_hyphenation(documents: Documents, tmp_path: Path) -> None:
    path = stored(tmp_path, drawn("com-) Tj 0 -50 Td (putation) Tj 0 -50 Td (is fun"))
    assert documents.render(path, 0, LOOK).text == "computation\nis fun"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "damaged, cut short, or something else"),
        (b"PK\x03\x04 this is a zip", "damaged, cut short, or something else"),
        (pages.pdf(20)[:5000], "damaged, cut short, or something else"),
        (pages.pdf(0), "has no pages"),
        (pages.pdf(1).replace(b"/Root 1 0 R", ENCRYPTED % (b"11" * 32, b"22" * 32)), "protected by a password"),
    ],
    ids=["empty", "zip", "truncated", "no pages", "encrypted"],
)
def test_a_file_that_cannot_be_opened_is_refused_with_its_reason(
    documents: Documents, tmp_path: Path, data: bytes, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        documents.count_pages(stored(tmp_path, data))


def test_a_file_that_is_gone_is_refused(documents: Documents, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no longer in the blob store"):
        documents.count_pages(str(tmp_path / "source.pdf"))


def test_a_damaged_page_is_refused_and_the_others_are_not(documents: Documents, tmp_path: Path) -> None:
    whole = pages.pdf(3)
    path = stored(tmp_path, re.sub(rb"(/Kids \[\d+ 0 R) \d", rb"\1 0", whole))
    with pytest.raises(Refused, match="page is damaged"):
        documents.render(path, 1, LOOK)
    assert pages.said(3, of=3) in documents.render(path, 2, LOOK).text


def test_documents_are_closed_and_opened_again_on_the_way(documents: Documents, tmp_path: Path) -> None:
    count = PAGES_PER_OPENING + 2
    long = stored(tmp_path, pages.pdf(count))
    others = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        others.append(stored(tmp_path / str(number), pages.pdf(2, seed=number)))
    for index in range(count):
        assert pages.said(index + 1, of=count) in documents.render(long, index, LOOK).text
        assert documents.count_pages(others[index % 3]) == 2


@pytest.mark.parametrize(
    ("found", "tidied"),
    [
        ("supplied in pack\x02ages with R", "supplied in packages with R"),
        ("the S\x02Plus language", "the S-Plus language"),
        ("R\ufffe4.2", "R-4.2"),
        ("one\r\ntwo\x07", "one\ntwo"),
    ],
)
def test_hyphens_at_line_ends_are_mended_in_the_text_layer(found: str, tidied: str) -> None:
    assert tidy(found) == tidied

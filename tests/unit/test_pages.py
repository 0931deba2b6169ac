"""tests/pages.py: page images that say who they are, and PDFs whose pages have sentences of their own."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from PIL import Image

from tests import pages
from tests.pages import Kind
from tests.standin import marks, prose

KINDS: list[Kind] = ["jpeg", "png", "webp"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_image_says_which_page_it_is(kind: Kind) -> None:
    image = pages.page_image(7, kind=kind)
    assert pages.token(image).startswith("page-7-")
    assert marks.page(pages.token(image)) == 7
    assert marks.TOKEN.findall(f"It is {pages.token(image)}, isn't it?") == [pages.token(image)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_was_encoded_anew_is_named_by_its_bytes(kind: Kind) -> None:
    again = io.BytesIO()
    Image.open(io.BytesIO(pages.page_image(7, kind=kind))).save(again, kind)  # Pillow keeps JPEG comments
    assert pages.token(again.getvalue()).startswith("image-")


def test_an_image_that_lost_a_byte_is_named_by_its_bytes() -> None:
    assert pages.token(pages.page_image(7)[:-1]).startswith("image-")


@pytest.mark.parametrize("kind", KINDS)
def test_page_images_are_distinct_decodable_and_of_the_size_asked_for(kind: Kind) -> None:
    images = [pages.page_image(number, kind=kind, size_kb=size) for size in (10, 40, 250) for number in (1, 2)]
    assert len({pages.token(image) for image in images}) == len(images)
    for image, size in zip(images, (10, 10, 40, 40, 250, 250), strict=True):
        assert len(image) == pytest.approx(size * 1000, rel=0.1)
        decoded = Image.open(io.BytesIO(image))
        decoded.load()
        assert decoded.format == kind.upper()


def test_the_same_arguments_give_the_same_image_and_another_seed_another() -> None:
    assert pages.page_image(3, seed=1) == pages.page_image(3, seed=1)
    assert pages.token(pages.page_image(3, seed=1)) != pages.token(pages.page_image(3, seed=2))


def test_every_page_of_a_pdf_has_a_sentence_that_no_other_has() -> None:
    document = pypdfium2.PdfDocument(pages.pdf(120, blank={5}))
    texts = [page.get_textpage().get_text_bounded() for page in document]
    document.close()
    assert len(texts) == 120
    for number in range(1, 121):
        having = [place for place, text in enumerate(texts, 1) if pages.said(number, of=120) in text]
        assert having == ([] if number == 5 else [number])
    assert texts[4] == ""
    assert texts[20].startswith("Chapter 3")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (512, "five hundred and twelve"),
        (1000, "one thousand"),
        (1007, "one thousand and seven"),
        (10_240, "ten thousand two hundred and forty"),
    ],
)
def test_numbers_are_written_in_words(number: int, words: str) -> None:
    assert prose.in_words(number) == words

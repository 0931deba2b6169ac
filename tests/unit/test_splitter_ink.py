"""Blank pages: the grain of paper is nothing, the faintest page number is something."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from services.splitter import jpeg
from services.splitter.ink import is_blank_jpeg
from tests import pages

A4 = (1240, 1754)
"""At 150 dpi, as pages are rendered."""


def paper(shade: int = 255, *, size: tuple[int, int] = A4) -> Image.Image:
    return Image.new("RGB", size, (shade, shade, shade))


def scanned(page: Image.Image, grain: float) -> Image.Image:
    """With the noise of a scanner: of the light, and half as much of each colour."""
    source = np.random.default_rng(7)
    pixels = np.asarray(page, np.float32)
    noise = source.normal(0, grain, (*pixels.shape[:2], 1)) + source.normal(0, grain / 2, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def printed(text: str, *, points: float = 11, colour: tuple[int, int, int] = (0, 0, 0), on: int = 255) -> Image.Image:
    page = paper(on)
    font = ImageFont.load_default(round(points * 150 / 72))
    ImageDraw.Draw(page).text((600, 1650), text, font=font, fill=colour)
    return page


def dusty() -> Image.Image:
    page = paper(246)
    for x, y in np.random.default_rng(3).integers(20, 1200, (30, 2)).tolist():
        ImageDraw.Draw(page).rectangle((x, y, x + 2, y + 1), fill=(140, 140, 140))
    return page


def unevenly_lit() -> Image.Image:
    shades = np.linspace(255, 215, A4[1]).astype(np.uint8)
    return Image.fromarray(np.repeat(np.repeat(shades[:, None, None], A4[0], 1), 3, 2))


def two_shades() -> Image.Image:
    page = paper()
    ImageDraw.Draw(page).rectangle((0, 0, A4[0], 877), fill=(244, 244, 244))
    return page


def is_blank(page: Image.Image) -> bool:
    return is_blank_jpeg(jpeg.encode(np.asarray(page), 80, "RGB"))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(paper(), id="white"),
        pytest.param(paper(200), id="grey"),
        pytest.param(paper(size=(2480, 3508)), id="300 dpi"),
        pytest.param(scanned(paper(246), 1), id="a little grain"),
        pytest.param(scanned(paper(246), 3), id="much grain"),
        pytest.param(unevenly_lit(), id="unevenly lit"),
        pytest.param(scanned(unevenly_lit(), 2), id="unevenly lit, with grain"),
        pytest.param(dusty(), id="dust"),
    ],
)
def test_paper_without_print_is_blank(page: Image.Image) -> None:
    assert is_blank(page)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(printed("7", points=6), id="a small page number"),
        pytest.param(printed("1", points=6), id="the smallest of all"),
        pytest.param(printed("7", points=9, colour=(200, 200, 200)), id="a grey page number"),
        pytest.param(printed("faint", colour=(235, 235, 235)), id="light grey text"),
        pytest.param(printed("faint", colour=(255, 255, 150)), id="light yellow text"),
        pytest.param(scanned(printed("7", points=8, colour=(40, 40, 40), on=246), 3), id="a scanned page number"),
        pytest.param(scanned(printed("faint", colour=(190, 190, 190), on=246), 2), id="light grey text, scanned"),
        pytest.param(printed("white on black", colour=(255, 255, 255), on=0), id="white on black"),
        pytest.param(two_shades(), id="two shades"),
    ],
)
def test_whatever_stands_on_a_page_makes_it_a_page(page: Image.Image) -> None:
    assert not is_blank(page)


@pytest.mark.parametrize("size_kb", [40, 250])
def test_a_full_page_is_never_blank(size_kb: float) -> None:
    assert not is_blank_jpeg(pages.page_image(1, size_kb=size_kb))

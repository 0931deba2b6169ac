"""Taking uploaded page images: which are left as they are, which are converted, which are refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from services.splitter.images import take
from services.splitter.orders import Look, Picture
from shared.errors import Refused
from tests import pages

LOOK = Look(dpi=150, quality=80, max_side=400, keep_side=1000, keep_bytes=200_000)
ORIENTATION = 0x0112


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def lying() -> bytes:
    """A JPEG, 300 × 200 and black in its left half, that says: turn me clockwise."""
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", (0, 0, 150, 200))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(image, "JPEG", exif=exif)


def png(width: int, height: int, *, depth: int, rows: bytes) -> bytes:
    """A PNG in colours. `rows`: each begins with a zero byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "00000"


def converted(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    image: np.ndarray = simplejpeg.decode_jpeg(take(str(path), LOOK).jpeg)
    return image


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_what_models_take_is_left_as_it_is(path: Path, kind: pages.Kind) -> None:
    path.write_bytes(pages.page_image(1, kind=kind))
    assert take(str(path), LOOK).jpeg == b""


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "BMP"])
def test_other_images_are_converted(path: Path, kind: str) -> None:
    image = converted(path, encoded(Image.new("RGB", (120, 90), (200, 30, 30)), kind))
    assert image.shape == (90, 120, 3)
    assert np.allclose(image[40, 60], (200, 30, 30), atol=6)


def test_an_image_of_too_many_pixels_is_made_smaller(path: Path) -> None:
    assert converted(path, encoded(Image.new("RGB", (1200, 600)), "JPEG")).shape == (200, 400, 3)


def test_an_image_of_too_many_bytes_is_encoded_anew(path: Path) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (380, 300, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "PNG")
    assert len(data) > LOOK.keep_bytes
    assert converted(path, data).shape == (380, 300, 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_shines_through_becomes_white(path: Path, kind: str) -> None:
    assert converted(path, encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), kind)).min() > 250


def test_a_palette_that_shines_through_becomes_white(path: Path) -> None:
    image = Image.new("P", (50, 50), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert converted(path, encoded(image, "PNG", transparency=0)).min() > 250


def test_an_image_that_could_shine_through_and_does_not_is_left_as_it_is(path: Path) -> None:
    with Image.open(io.BytesIO(pages.page_image(1, kind="png"))) as page:
        path.write_bytes(encoded(page.convert("RGBA"), "PNG"))
    assert take(str(path), LOOK) == Picture()


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_a_scan_of_16_bits_keeps_its_greys(path: Path, kind: str) -> None:
    grey = Image.fromarray(np.full((60, 60), 0x8000, np.uint16))
    assert np.allclose(converted(path, encoded(grey, kind)), 128, atol=3)


def test_colours_of_16_bits_become_colours_of_8(path: Path) -> None:
    row = b"\0" + bytes.fromhex("c800 1e00 1e00") * 60
    assert np.allclose(converted(path, png(60, 60, depth=16, rows=row * 60)), (200, 30, 30), atol=6)


def test_greys_of_32_bits_are_spread_from_black_to_white(path: Path) -> None:
    slope = Image.fromarray(np.linspace(-4, 7, 10_000, dtype=np.float32).reshape(100, 100))
    image = converted(path, encoded(slope, "TIFF"))
    assert image.min() < 10
    assert image.max() > 245


def test_a_fax_page_of_single_bits_is_converted(path: Path) -> None:
    assert converted(path, encoded(Image.new("1", (1700, 2200), 1), "TIFF", compression="group4")).shape == (
        400,
        309,
        3,
    )


def test_a_photo_that_lies_on_its_side_is_turned(path: Path) -> None:
    image = converted(path, lying())
    assert image.shape == (300, 200, 3)
    assert image[:140].max() < 20
    assert image[160:].min() > 230


def test_colours_for_print_are_converted(path: Path) -> None:
    assert converted(path, encoded(Image.new("CMYK", (40, 40)), "JPEG")).min() > 240


def test_of_a_moving_image_the_first_picture_is_taken(path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("white", "black")]
    assert converted(path, encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])).min() > 240


def test_something_else_than_an_image_is_refused(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4 not an image")
    with pytest.raises(Refused, match="not an image of a known kind"):
        take(str(path), LOOK)


def test_a_broken_image_is_refused(path: Path) -> None:
    path.write_bytes(encoded(Image.effect_noise((300, 300), 50), "TIFF")[:20_000])
    with pytest.raises(Refused, match="damaged"):
        take(str(path), LOOK)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_an_image_that_was_cut_short_is_refused(path: Path, kind: pages.Kind) -> None:
    path.write_bytes(pages.page_image(1, kind=kind)[:20_000])
    with pytest.raises(Refused, match="damaged"):
        take(str(path), LOOK)


def test_a_jpeg_with_much_behind_its_end_is_encoded_anew(path: Path) -> None:
    assert converted(path, pages.page_image(1, size_kb=20) + bytes(5000)).min() < 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_page_without_anything_on_it_is_blank(path: Path, kind: str) -> None:
    path.write_bytes(encoded(Image.new("RGB", (300, 400), (250, 250, 246)), kind))
    picture = take(str(path), LOOK)
    assert picture.blank
    assert bool(picture.jpeg) == (kind == "TIFF")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_page_with_print_is_not_blank(path: Path, kind: pages.Kind) -> None:
    path.write_bytes(pages.page_image(1, kind=kind))
    assert not take(str(path), LOOK).blank


def test_an_image_that_is_gone_is_refused(path: Path) -> None:
    with pytest.raises(Refused, match="no longer in the blob store"):
        take(str(path), LOOK)


def test_a_small_file_that_unpacks_to_a_giant_is_refused(path: Path) -> None:
    path.write_bytes(png(50_000, 50_000, depth=8, rows=bytes(1000)))
    with pytest.raises(Refused, match="more than 89 million pixels"):
        take(str(path), LOOK)

"""A page image, decoded for reading: upright, grey, bounded; and how much ink is on it."""

from __future__ import annotations

import io
import warnings

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 120_000_000
"""Of an image that is decoded: an A3 page at 800 dpi. Grey, that many take 120 MB."""
LONGEST_SIDE = 3_508
"""Pixels that are looked at: A4 at 300 dpi. More makes Tesseract slower, not better."""

_FORMATS = ("JPEG", "PNG", "WEBP")
_SHRINK = 4  # averages the noise of a scanner away
_FAINT = 16  # grey levels of 256 that differ from the paper: less is its texture
_INK = 48  # print, not a shadow
_SPECKS = 0.002  # of a page: dust, a hole, the shadow of an edge; three printed lines have more


class Unreadable(Exception):
    """The image can't be read; the sentence is for the client."""


class Pixels(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded page image: 8-bit grey, upright."""

    image: Image.Image
    dpi: int
    """As if the page were A4 or Letter: what an image tells of its own resolution is often wrong."""
    bare: bool
    """Nothing at all is on it, not even faintly."""
    specked: bool
    """The ink on it is so little that it may be dust."""


def decoded(data: bytes) -> Pixels:
    """Decode a JPEG, PNG or WebP. Raises Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is told in a sentence
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                grey = _grey(image)
    except UnidentifiedImageError as error:
        starts = data[:8].hex(" ") or "nothing"
        raise Unreadable(f"The image is no JPEG, PNG or WebP: it starts with {starts}.") from error
    except Image.DecompressionBombError as error:
        raise Unreadable(f"The image is too large: {error}.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Unreadable(f"The image of {len(data)} bytes is damaged: {error}.") from error
    width, height = grey.size
    contrast = _contrast(grey)
    return Pixels(
        image=grey,
        dpi=min(600, max(70, round(min(width, height) / 8.3))),
        bare=not (contrast > _FAINT).any(),
        specked=bool((contrast > _INK).mean() < _SPECKS),
    )


def _grey(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Unreadable(
            f"The image has {width} x {height} pixels, more than {MOST_PIXELS // 10**6} million. Send a smaller one."
        )
    image.draft("L", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded grey, and smaller where it is far too large
    image.load()
    if image.has_transparency_data:
        over = Image.new("RGBA", image.size, "white")  # transparent paper is white, not black
        over.alpha_composite(image.convert("RGBA"))
        image = over
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # convert() would clip at 255
    grey = ImageOps.exif_transpose(image).convert("L")
    grey.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return grey


def _contrast(grey: Image.Image) -> NDArray[np.int16]:
    """How much each spot differs from the paper, whatever the paper's shade: 0 to 255."""
    small = np.asarray(grey.reduce(_SHRINK)).astype(np.int16)
    contrast: NDArray[np.int16] = np.abs(small - np.int16(np.median(small)))
    return contrast

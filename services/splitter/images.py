"""Takes uploaded page images: as they are where a model can see them so, else as JPEGs. For the render process."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from services.splitter import jpeg
from services.splitter.orders import Look, Picture
from shared.errors import Refused

SEEN_BY_MODELS = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
"""Pillow's names of what the APIs of vision models take. MPO: a JPEG with more behind the first (phones)."""
_ORIENTATION = 0x0112  # Exif tag; 1: upright


def take(path: str, look: Look) -> Picture:
    """Reads the head of the file only, unless it must be converted. Raises Refused when it can't be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if _serves(image, Path(path).stat().st_size, look):
                    return Picture()
                return Picture(jpeg=jpeg.encode(_pixels(image, look.max_side), look.quality, "RGB"))
    except FileNotFoundError as error:
        raise Refused("The uploaded image is no longer in the blob store.") from error
    except UnidentifiedImageError as error:
        raise Refused("The uploaded file is not an image of a known kind.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise Refused(f"The image is too large: it has more than {limit} million pixels.") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # what Pillow raises for broken files
        raise Refused("The image is damaged and can't be read.") from error


def _serves(image: Image.Image, size: int, look: Look) -> bool:
    """True where a model sees the file as a person would, and no API limit is met."""
    still = image.format == "MPO" or getattr(image, "n_frames", 1) == 1
    upright = image.getexif().get(_ORIENTATION, 1) == 1  # model servers ignore the tag and would read it lying
    return (
        image.format in SEEN_BY_MODELS
        and image.mode != "CMYK"  # decoders disagree on whether it is inverted
        and still
        and upright
        and max(image.size) <= look.keep_side
        and size <= look.keep_bytes
    )


def _pixels(image: Image.Image, max_side: int) -> np.ndarray:
    """The file's first picture: height × width × 3, uint8, RGB on white, upright, sides up to `max_side`."""
    image.draft(None, (2 * max_side, 2 * max_side))  # a large JPEG is decoded at a half, a quarter or an eighth
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow would cut off, not scale
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((max_side, max_side))  # before the copies below: a giant must fit into memory twice, not four times
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))

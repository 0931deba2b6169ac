"""Takes uploaded page images: as they are where a model can see them so, else as JPEGs. For the render process."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from services.splitter import ink, jpeg
from services.splitter.orders import Look, Picture
from shared.errors import Refused

SEEN_BY_MODELS = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
"""Pillow's names of what the APIs of vision models take. MPO: a JPEG with more behind the first (phones)."""
_ORIENTATION = 0x0112  # Exif tag; 1: upright
_JPEG_END = b"\xff\xd9"
_TAIL_BYTES = 1024  # cameras leave some padding behind the end of a JPEG
_BARE_BYTES_A_PIXEL = 0.1  # of a PNG or WebP: clean paper needs 0.01, and to unpack a full page takes 10 ms


def take(path: str, look: Look) -> Picture:
    """Reads as little of the file as tells whether it must be converted. Raises Refused when it can't be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                size = Path(path).stat().st_size
                if _serves(image, size, look) and _is_whole(image, path):
                    return Picture(blank=_is_blank(image, size))
                made = jpeg.encode(_pixels(image, look.max_side), look.quality, "RGB")
                return Picture(jpeg=made, blank=ink.is_blank_jpeg(made))
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
    return (
        image.format in SEEN_BY_MODELS
        and image.mode != "CMYK"  # decoders disagree on whether it is inverted
        and not _is_deep(image)
        and max(image.size) <= look.keep_side
        and size <= look.keep_bytes
        and (image.format == "MPO" or getattr(image, "n_frames", 1) == 1)
        and image.getexif().get(_ORIENTATION, 1) == 1  # model servers ignore the tag and would read it lying
        and not _shines_through(image)
    )


def _is_deep(image: Image.Image) -> bool:
    """16 bits a channel: few models' servers say what they make of it."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return image.mode.startswith("I") or any("16" in str(tile.args) for tile in tiles)  # such as "RGB;16B"


def _shines_through(image: Image.Image) -> bool:
    """Models see black where an image is transparent; to have the means for it is not yet to be it."""
    return image.has_transparency_data and bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def _is_whole(image: Image.Image, path: str) -> bool:
    """False where a JPEG seems to be cut short: it is then decoded, and encoded anew if it can be."""
    if image.format not in ("JPEG", "MPO"):
        return True
    with Path(path).open("rb") as file:
        file.seek(max(0, Path(path).stat().st_size - _TAIL_BYTES))
        return _JPEG_END in file.read()


def _is_blank(image: Image.Image, size: int) -> bool:
    """Decodes only what is so small a file that it may be blank. May leave `image` smaller and without colours."""
    few = ink.MOST_BYTES_A_PIXEL if image.format in ("JPEG", "MPO") else _BARE_BYTES_A_PIXEL
    return size <= few * image.width * image.height and ink.is_blank(image)


def _pixels(image: Image.Image, max_side: int) -> np.ndarray:
    """The file's first picture: height × width × 3, uint8, RGB on white, upright, sides up to `max_side`."""
    image.draft(None, (2 * max_side, 2 * max_side))  # a large JPEG is decoded at a half, a quarter or an eighth
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow would cut off, not scale
    elif image.mode in ("I", "F"):
        image = _stretched(np.asarray(image))
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((max_side, max_side))  # before the copies below: a giant must fit into memory twice, not four times
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _stretched(values: np.ndarray) -> Image.Image:
    """Greys of 32 bits, whose range nobody states: from the darkest to the lightest that there is."""
    low, high = float(values.min()), float(values.max())
    return Image.fromarray((255 * ((values - low) / max(high - low, 1e-9))).astype(np.uint8))

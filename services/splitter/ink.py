"""Is there anything on this page? Told from its image, before a model is asked. Pure.

A page is blank where no spot of it stands out from its surroundings: no darker or lighter mark, no edge, no change of
shade. What counts as a mark grows with the noise of the page itself, so that the grain of scanned paper is none, and
the faintest print on a clean page is one. Doubt costs a call, never a page: dirt and shadows are read.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

SEEN_SIDE: Final = 800
"""Longer side, in pixels, at which a page is looked at: A4 at 68 dpi, where a 6-point digit still has ten pixels."""
MOST_BYTES_A_PIXEL: Final = 0.12
"""A JPEG that needs more is not blank: clean paper needs 0.02, that of a good scan up to 0.1, print 0.15 to 0.3."""
TILE: Final = 16
"""Side of a spot, in pixels: about a line of text."""
MARK_PIXELS: Final = 5
"""Pixels of a spot that must stand out. Specks of dust have up to four."""
GRAIN: Final = 5.0
"""Deviations of the noise from which on a pixel stands out: 1 of 2,000,000 does by chance, and never five in a spot."""
LEAST_CONTRAST: Final = 6.0
"""Of a pixel to its spot's mean, out of 255: light grey hairlines have 12."""
MOST_CONTRAST: Final = 30.0
"""What stands out so far is a mark on any paper."""
EDGE: Final = 4.0
"""Difference of the means of neighbouring spots: light that falls unevenly on a scanner's glass makes up to 2."""


def is_blank_jpeg(jpeg: bytes) -> bool:
    """The same of a whole JPEG of a page. Raises OSError where it is damaged. 1 to 2 ms for a blank page."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return len(jpeg) <= MOST_BYTES_A_PIXEL * image.width * image.height and is_blank(image)


def is_blank(image: Image.Image) -> bool:
    """Whether nothing stands on the page. `image`: opaque, 8 bits a channel. Raises OSError where it is damaged."""
    image.draft("L", _seen(image))  # a JPEG is decoded at a half, a quarter or an eighth, without its colours
    grey = image.convert("L")
    if min(factors := (grey.width // _seen(grey)[0], grey.height // _seen(grey)[1])) > 1:
        grey = grey.reduce(min(factors))
    return not _has_marks(np.asarray(grey))


def _seen(image: Image.Image) -> tuple[int, int]:
    scale = min(1.0, SEEN_SIDE / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _has_marks(grey: npt.NDArray[np.uint8]) -> bool:
    height, width = grey.shape
    padded = np.pad(grey, ((0, -height % TILE), (0, -width % TILE)), mode="edge").astype(np.float32)
    spots = padded.reshape(padded.shape[0] // TILE, TILE, padded.shape[1] // TILE, TILE)
    means = spots.mean(axis=(1, 3))
    distance = np.abs(np.subtract(spots, means[:, None, :, None], out=spots), out=spots)  # each copy is 2 MB
    squares = np.einsum("ipjq,ipjq->ij", distance, distance)
    noise = float(np.percentile(np.sqrt(squares / TILE**2), 10))  # a tenth of any page is margin
    limit = min(max(LEAST_CONTRAST, GRAIN * noise), MOST_CONTRAST)
    marks = np.count_nonzero(distance > limit, axis=(1, 3))
    edges = (np.abs(np.diff(means, axis=axis)).max(initial=0.0) for axis in (0, 1))
    return bool(marks.max() >= MARK_PIXELS or max(edges) > EDGE)

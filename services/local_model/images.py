"""The bytes of an image in a request."""

from __future__ import annotations

import binascii
import re

import pybase64

from services.local_model.wire import Refusal

_DATA = re.compile(r"data:[\w.+/-]*(?:;[\w=.-]+)*;base64,", re.IGNORECASE)


def data(url: str) -> bytes:
    """Decode a `data:` URL. Raises Refusal for what is none: nothing is fetched from elsewhere."""
    head = _DATA.match(url[:200])
    if head is None:
        raise Refusal(
            400,
            f"An image is sent as a data: URL in base64; this one begins with {url[:30]!r}.",
            param="image_url",
            code="invalid_image_url",
        )
    try:
        return pybase64.b64decode(url[head.end() :], validate=True)
    except binascii.Error as error:
        raise Refusal(400, f"The image is no base64: {error}.", param="image_url", code="invalid_image_url") from error

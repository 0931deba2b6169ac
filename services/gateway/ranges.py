"""Which bytes a Range header asks for (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re

_SPAN = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """None of the bytes asked for exists: 416."""


def wanted(header: str | None, size: int) -> range | None:
    """The bytes asked for, out of `size`; None: all of them.

    What is malformed, of another unit, or several ranges at once is ignored, as the RFC allows. Raises Unsatisfiable.
    """
    match = _SPAN.fullmatch(header or "")
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        first, end = max(0, size - int(match[2])), size
    else:
        first, end = int(match[1]), min(int(match[2] or size) + 1, size)
        if match[2] and int(match[2]) < first:
            return None
    if first >= size:
        raise Unsatisfiable(header)
    return range(first, end)

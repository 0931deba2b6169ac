"""Page numbers in words: `page 4`, `pages 1–3 and 7`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared import citing

_SPANS = re.compile(r"pages? [\d–, and]+", re.IGNORECASE)


def written(pages: Sequence[int]) -> str:
    """The pages, in order, with runs drawn together."""
    *most, last = citing.spans(pages)
    if not most:
        return f"pages {last}" if "–" in last else f"page {last}"
    return f"pages {', '.join(most)} and {last}"


def are_all(text: str) -> bool:
    """Whether a text is page numbers in words, and nothing else."""
    return _SPANS.fullmatch(text) is not None

"""How source text stands inside a prompt: `<page number="7">…</page>` sections that a model can cite by number.

The text between the tags is the document's own; anything in it that looks like one of our tags is defused, so that a
document cannot pretend to be another page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TAG = re.compile(r"<(/?)(page\b)", re.IGNORECASE)
_PAGE = re.compile(r'<page number="(\d+)"(?: to="(\d+)")?>\n(.*?)\n</page>', re.DOTALL)


def page(number: int, text: str, *, to: int | None = None) -> str:
    """One section: a page, or with `to` a run of pages."""
    safe = _TAG.sub("<\\1\u200b\\2", text)
    span = f' to="{to}"' if to is not None else ""
    return f'<page number="{number}"{span}>\n{safe}\n</page>'


def pages(prompt: str) -> Iterator[tuple[int, int, str]]:
    """The sections of a prompt in order: (first page, last page, text)."""
    for match in _PAGE.finditer(prompt):
        first = int(match[1])
        yield first, int(match[2] or first), match[3].replace("\u200b", "")

"""What a prompt's sections hold: a page as the aggregator shows it, or as it stands; and pages that were not read."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from services.local_model import spans
from shared.results import Cited

NO_TEXT = (
    "This page has no text layer, and the built-in model cannot see images: nothing was read. "
    "A vision model can read them."
)
NO_WORDS = (
    "No printed words were recognised on this page's image, and the built-in model does not see pictures: nothing was "
    "read. A vision model can describe it."
)
_UNREAD_BATCH = "Not read, because no text was found there and the built-in model does not see pictures: "

_HEADINGS = re.compile(r"^Headings?: *(.+)$", re.MULTILINE)
_SUMMARY = re.compile(r"^Summary: *(.+)$", re.MULTILINE)
_POINTS = re.compile(r"^Key points:\n((?:- .+(?:\n|\Z))+)", re.MULTILINE)
_TEXT = re.compile(r"^Text:\n", re.MULTILINE)
_CUT = "[…]"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a prompt."""

    page: int
    path: list[str]
    """The headings that its end lies under, outermost first; empty where the prompt doesn't say."""
    text: str
    """Its text, or what is said of it where the text is missing or cut."""
    read: bool
    """False where its reader could not read it."""


def source(page: int, section: str) -> Source:
    """Read a section: with `Headings:`, `Summary:`, `Key points:`, `Text:` as the aggregator has it, or plain text."""
    marker = _TEXT.search(section)
    head, text = (section[: marker.start()], section[marker.end() :]) if marker else (section, "")
    path = [part.strip() for found in _HEADINGS.findall(head)[:1] for part in found.split(" > ")]
    said = [
        *_SUMMARY.findall(head)[:1],
        *(line[2:] for found in _POINTS.findall(head)[:1] for line in found.splitlines()),
    ]
    if not marker and not (path or said):
        text = section
    if NO_TEXT in said or NO_WORDS in said:
        return Source(page=page, path=path, text="", read=False)
    if not text or text.rstrip().endswith(_CUT):
        # What the reader thought worth saying makes up for what was cut off.
        text = "\n\n".join([text, *(line for line in said if line not in text)])
    return Source(page=page, path=path, text=text.strip(), read=True)


def unread(pages: Sequence[int]) -> Cited:
    """The statement that these pages were not read."""
    return Cited(text=f"{_UNREAD_BATCH}{spans.written(pages)}.", pages=list(pages))


def tells_unread(statement: str) -> bool:
    """Whether a statement is one of `unread`, or is a page's own summary of that kind."""
    return statement.startswith((_UNREAD_BATCH, *(sentence.partition(":")[0] for sentence in (NO_TEXT, NO_WORDS))))

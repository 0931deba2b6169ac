"""The options of a submission: what they may hold, and which job they make of a document. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from services.gateway.problems import Problem
from shared.selection import Selection, SelectionError

NAMES = ("job_id", "user_id", "pages", "batch_size", "narrate")
IMAGE_NAMES = ("batch_size", "narrate")
MOST_BATCH_PAGES = 100
"""A batch's pages are summarised in one prompt: of more, too little of each would be seen."""
_YES_NO = {"true": True, "1": True, "false": False, "0": False}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`selection`: the pages asked for; none named: all. `batch_size` None: the gateway's own."""

    job_id: str | None = None
    user_id: str | None = None
    selection: Selection = Selection()
    batch_size: int | None = None
    narrate: bool = True

    def fingerprint(self, content: str) -> str:
        """Of the content and of what is asked of it: the same document with other options is another job."""
        asked = f"{self.selection} {self.batch_size or ''} {self.narrate}"
        if asked == _NOTHING_ASKED:
            return content
        return hashlib.sha256(f"{content} {asked}".encode()).hexdigest()


_NOTHING_ASKED = "  True"


def check_name(name: str) -> None:
    """Raises Problem for an option that is not known: it might be a limit that would not be kept."""
    if name not in NAMES:
        raise Problem("unknown-option", f"{name[:80]!r} is not known here: the options are {', '.join(NAMES)}.")


def of_images(query: Mapping[str, str]) -> Options:
    """The options of page images: ids are in their body, and who sends pages has chosen them. Raises Problem."""
    for name in query:
        if name not in IMAGE_NAMES:
            raise Problem(
                "unknown-option", f"{name[:80]!r} is not known here: the options are {', '.join(IMAGE_NAMES)}."
            )
    return read(query)


def read(fields: Mapping[str, str]) -> Options:
    """The options as they came in a query or a form; an empty one counts as left out. Raises Problem."""
    given = {name: value for name, value in fields.items() if value}
    return Options(
        job_id=given.get("job_id"),
        user_id=given.get("user_id"),
        selection=_selection(given.get("pages", "")),
        batch_size=_batch_size(given["batch_size"]) if "batch_size" in given else None,
        narrate=_flag("narrate", given.get("narrate", "true")),
    )


def _selection(text: str) -> Selection:
    try:
        return Selection.parse(text)
    except SelectionError as error:
        raise Problem("invalid-field", f"pages: {error}.") from error


def _batch_size(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MOST_BATCH_PAGES:
        return int(text)
    raise Problem(
        "invalid-field",
        f"batch_size is {text[:80]!r}: send a whole number from 1 to {MOST_BATCH_PAGES}.",
        limit_pages=MOST_BATCH_PAGES,
    )


def _flag(name: str, text: str) -> bool:
    value = _YES_NO.get(text.lower())
    if value is None:
        raise Problem("invalid-field", f"{name} is {text[:80]!r}: send true or false.")
    return value

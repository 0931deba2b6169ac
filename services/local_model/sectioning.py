"""How a document's statements fall into sections: by chapter where these are known, else by batch; not too many."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.local_model import headings
from services.local_model.chapters import PART_MARK
from services.local_model.passages import Passage

_MOST = 16  # sections that a reader still takes in
_NAMES = 3  # chapters that a joined heading names; of more, the first and the last


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive statements that make a section."""

    names: list[str]
    statements: list[Passage]

    @property
    def heading(self) -> str:
        if len(self.names) > _NAMES:
            return f"{self.names[0]} to {self.names[-1]}"
        return PART_MARK.join(self.names)


def groups(batches: Sequence[tuple[str, Sequence[Passage]]]) -> list[Group]:
    """The sections, in order. `batches`: the title of each, and its statements."""
    found: list[Group] = []
    for title, statements in batches:
        for passage in statements:
            names = [passage.heading] if passage.heading else title.split(PART_MARK)
            if found and _are_same(found[-1].names, names):
                found[-1].statements.append(passage)
            else:
                found.append(Group(names=names, statements=[passage]))
    while len(found) > _MOST:
        _join_smallest(found)
    return found


def _join_smallest(found: list[Group]) -> None:
    """Join the two neighbours that are smallest together."""
    place = min(range(len(found) - 1), key=lambda one: len(found[one].statements) + len(found[one + 1].statements))
    one, other = found[place : place + 2]
    names = list(one.names)
    for name in other.names:
        if not any(headings.same(name, known) for known in names):
            names.append(name)
    found[place : place + 2] = [Group(names=names, statements=[*one.statements, *other.statements])]


def _are_same(names: Sequence[str], others: Sequence[str]) -> bool:
    return len(names) == len(others) and all(map(headings.same, names, others))

"""Answers by question, in memory: what a handler is given in place of the cache, in tests without I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from shared.events import Fact
from shared.outcomes import Usage
from shared.questions import Found, Question, T


class Held:
    """See `shared.questions.Held`."""

    def __init__(self, shelf: Shelf, digest: str, fact: Fact, found: Found[Any] | None) -> None:
        self.found = found
        self._shelf = shelf
        self._at = digest, fact

    async def keep(self, blob: str, usage: Usage) -> None:
        digest, fact = self._at
        self._shelf.kept[digest] = (blob, fact.unit, usage)


class Shelf:
    """Finds what was kept, as long as its blob is in `store`."""

    def __init__(self, store: dict[str, bytes]) -> None:
        self.store = store
        self.kept: dict[str, tuple[str, str, Usage]] = {}
        self.asked: list[str] = []
        """Digests of the questions, in order, found or not."""

    @asynccontextmanager
    async def claim(self, question: Question[T], fact: Fact) -> AsyncIterator[Held]:
        self.asked.append(question.digest)
        blob, unit, usage = self.kept.get(question.digest, ("", "", Usage()))
        found = None
        if blob in self.store:
            value, own = msgspec.json.decode(self.store[blob], type=question.answer), unit == fact.unit
            found = Found(value=value, blob=blob, own=own, usage=usage if own else Usage())
        yield Held(self, question.digest, fact, found)

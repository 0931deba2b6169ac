"""What a scenario is, and what one run of it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from benchmarks.meter import Usage
from benchmarks.processes import Kind

REDIS_FIGURE = "Redis, bytes a page"
"""used_memory when the document is completed minus that of the fleet that has just started, divided by its pages."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed. Figures are named with their units."""

    pages: int
    figures: dict[str, float]
    usage: dict[Kind, Usage]
    quire_bytes: int
    """Peak of all of Quire's processes together."""
    seconds: float
    """What `usage` covers: from the begin of the upload until the document was completed."""
    server: str


Once = Callable[[Path], Awaitable[Run]]
"""One run, with a folder for what it makes."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`name`: for --only. `lengths`: one run of each, from few pages to many; a single one is repeated."""

    name: str
    title: str
    lengths: tuple[Once, ...]

    def todo(self, repeated: int) -> list[Once]:
        """Its runs in order."""
        return list(self.lengths) if len(self.lengths) > 1 else list(self.lengths) * repeated

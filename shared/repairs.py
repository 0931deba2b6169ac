"""The ledger's scripts that mend: what a job has lost is put back, and what has failed goes round again.

Promises
1. `reconcile` touches nothing that waits, is deferred, or is in somebody's hands: a healthy job stays as it is.
2. A retry opens a job in its next rev, once: a repeat finds the rev changed. What was read is not paid for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis

from shared import keys, scripts
from shared.records import Job

Word = Literal["retried", "gone", "open", "cancelled", "changed", "nothing"]
"""What came of a retry. `gone`: no such job, or another run of it. `open`: it has not ended. `changed`: it was retried
meanwhile. `nothing`: what was named has not failed."""

KINDS = ("plan", "rendering", "page", "batch summary", "summary", "count")
"""What `reconcile` puts back: a document's plan, a batch to be rendered, a page to be read, the fact that a batch's or
the document's summary waits for, and a figure (how far rendering is ahead) that was wrong."""


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """`pages` go round again; `batches` are summarised again."""

    word: Word
    pages: int = 0
    batches: int = 0


class Repairs:
    """One method a script. All raise redis' errors when the server does not answer or refuses."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def reconcile(self, ref: str) -> dict[str, int]:
        """Put back what this open job has lost. Answers how many of which of KINDS; empty for a healthy job."""
        back: dict[str, int] = {}
        first = 0
        while first >= 0:
            first, pairs = await self._call("reconcile", ref, first=first)
            for what, number in zip(pairs[::2], pairs[1::2], strict=True):
                if number:
                    back[what] = back.get(what, 0) + number
        return back

    async def forget_page(self, ref: str, unit: str) -> int:
        """Remove the name of a page whose job has ended and whose entry is gone. Answers 1 where there was one."""
        gone: int = await self._call("forget_page", ref, unit=unit)
        return gone

    async def retry_pages(
        self, job: Job, *, ordinals: Sequence[int] = (), batches: Sequence[int] = (), summary: bool = False
    ) -> Retried:
        """Let these gaps of an ended job go round again, and summarise again what has no summary of these batches.

        `summary`: also the document's, if it has none.
        """
        word, *numbers = await self._call(
            "retry_pages",
            job.ref,
            run=job.run,
            rev=job.rev,
            ordinals=list(ordinals),
            batches=list(batches),
            summary=summary,
        )
        pages, touched = numbers or (0, 0)
        return Retried(word=word, pages=pages, batches=touched)

    async def retry_plan(self, job: Job) -> Retried:
        """Count the pages of a document once more, where that had failed."""
        return Retried(word=await self._call("retry_plan", job.ref, run=job.run, rev=job.rev))

    async def retry_audio(self, job: Job) -> Retried:
        """Speak a summary once more, where that had failed."""
        return Retried(word=await self._call("retry_audio", job.ref, run=job.run, rev=job.rev))

    async def _call(self, name: str, ref: str, /, **arguments: object) -> Any:
        script = scripts.load(name)
        named = [keys.by_name(key, ref=ref, stream="") for key in script.keys]
        return await scripts.call(self._redis, script, named, {"job": ref, **arguments})

"""Dead letters: entries that were given up, with why; they can be looked at, tried again, and dropped.

A letter is tried again by what its stage's failure did: a page that became a gap goes round again, a batch or a
document without a summary is summarised again. The letter itself is never put back: its job has moved on since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis

from shared import keys
from shared.events import (
    FACTS,
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    Fact,
    PageAnalyzed,
    PageRequested,
)
from shared.jobs import Jobs
from shared.records import TERMINAL, Job
from shared.repairs import Repairs, Retried

STREAMS = {fact.stream: fact for fact in FACTS}
_PAGE = 1000  # letters read at once

WHY_NOT = {
    "gone": "its job is not known any more, or its id was given to another document",
    "open": "its job has not ended: what failed can be tried again when it has",
    "cancelled": "its job was cancelled",
    "changed": "its job goes round again already",
    "nothing": "its job has since got what failed here",
}
UNREADABLE = "it is no fact of this release: a person has to judge it"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was given up."""

    stream: str
    id: str
    """In the dead letter stream; begins with when it was given up, ms since 1970."""
    job: str = ""
    page: int | None = None
    batch: int | None = None
    reason: str
    attempts: int
    """Tries that counted, before it was given up."""
    worker: str
    """Who gave it up."""
    fields: dict[str, str]
    """The entry as it was, and what was added to it."""

    @property
    def at_ms(self) -> int:
        return int(self.id.partition("-")[0])

    def fact(self) -> Fact | None:
        """What it was; None where it could never be read."""
        try:
            return STREAMS[self.stream].from_fields(self.fields)
        except msgspec.ValidationError:
            return None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of trying a letter again. `why`: why it was not, a sentence; empty where it was."""

    letter: Letter
    why: str = ""


class DeadLetters:
    """Reads and removes them. Every method raises redis' errors."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._jobs = Jobs(redis)
        self._repairs = Repairs(redis)

    async def of(self, stream: str) -> list[Letter]:
        """All of a work stream, oldest first: at most about 10,000 are kept."""
        letters: list[Letter] = []
        start = "-"
        while True:
            rows: Any = await self._redis.xrange(keys.dead(stream), min=start, count=_PAGE)
            letters += [_letter(stream, id_, fields) for id_, fields in rows]
            if len(rows) < _PAGE:
                return letters
            start = f"({rows[-1][0]}"

    async def get(self, stream: str, id_: str) -> Letter | None:
        rows: Any = await self._redis.xrange(keys.dead(stream), min=id_, max=id_)
        return _letter(stream, *rows[0]) if rows else None

    async def drop(self, letters: Iterable[Letter]) -> int:
        """Remove them. Answers how many were there."""
        gone = 0
        for letter in letters:
            gone += await self._redis.xdel(keys.dead(letter.stream), letter.id)
        return gone

    async def replay(self, letters: Iterable[Letter]) -> list[Replayed]:
        """Try what failed once more, all letters of a job together; those that are tried are removed."""
        by_job: dict[tuple[str, str], list[Letter]] = {}
        for letter in letters:
            by_job.setdefault((letter.job, letter.fields.get("run", "")), []).append(letter)
        answers = []
        for (ref, run), mine in by_job.items():
            job = await self._jobs.get(ref) if ref else None
            answers += await self._replay(job if job and job.run == run else None, mine)
        return answers

    async def _replay(self, job: Job | None, letters: list[Letter]) -> list[Replayed]:
        """The letters of one run of a job."""
        facts = {letter.id: letter.fact() for letter in letters}
        answers = [Replayed(letter=letter, why=UNREADABLE) for letter in letters if facts[letter.id] is None]
        kinds: dict[str, list[tuple[Letter, Fact]]] = {"pages": [], "plan": [], "audio": []}
        for letter in letters:
            match facts[letter.id]:
                case None:
                    continue
                case DocSubmitted() as fact:
                    kinds["plan"].append((letter, fact))
                case DocSummarized() as fact:
                    kinds["audio"].append((letter, fact))
                case fact:
                    kinds["pages"].append((letter, fact))
        for kind, mine in kinds.items():
            if not mine:
                continue
            if job is None:
                answers += [Replayed(letter=letter, why=WHY_NOT["gone"]) for letter, _ in mine]
            elif kind == "pages":
                answers += await self._retry_pages(job, mine)
            else:
                retry = self._repairs.retry_plan if kind == "plan" else self._repairs.retry_audio
                answers += await self._told([letter for letter, _ in mine], await retry(job))
        return answers

    async def _retry_pages(self, job: Job, letters: list[tuple[Letter, Fact]]) -> list[Replayed]:
        gaps = {gap.ordinal for gap in await self._jobs.gaps(job)}
        unsummarised = {record.batch for record in await self._jobs.batches(job) if record.failed}
        wants = [(letter, failed(job, fact)) for letter, fact in letters]
        tried: list[tuple[Letter, Want]] = []
        idle: list[tuple[Letter, Want]] = []
        for letter, want in wants:
            open_ = want.ordinals & gaps or want.batches & unsummarised or (want.summary and not job.summary)
            (tried if open_ else idle).append((letter, want))
        answers = [
            Replayed(letter=letter, why=WHY_NOT["nothing" if job.status in TERMINAL else "open"]) for letter, _ in idle
        ]
        if not tried:
            return answers
        answer = await self._repairs.retry_pages(
            job,
            ordinals=sorted(set().union(*(want.ordinals for _, want in tried))),
            batches=sorted(set().union(*(want.batches for _, want in tried))),
            summary=any(want.summary for _, want in tried),
        )
        return answers + await self._told([letter for letter, _ in tried], answer)

    async def _told(self, letters: list[Letter], answer: Retried) -> list[Replayed]:
        if answer.word != "retried":
            return [Replayed(letter=letter, why=WHY_NOT[answer.word]) for letter in letters]
        await self.drop(letters)
        return [Replayed(letter=letter) for letter in letters]


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What goes round again for a letter, if it has failed."""

    ordinals: frozenset[int] = frozenset()
    batches: frozenset[int] = frozenset()
    summary: bool = False


def failed(job: Job, fact: Fact) -> Want:
    """What may have failed with this fact. Pure."""
    match fact:
        case PageRequested():
            return Want(ordinals=frozenset([fact.ordinal]))
        case BatchRequested():
            return Want(ordinals=frozenset(job.batch_ordinals(fact.batch)))
        case PageAnalyzed():
            return Want(batches=frozenset([fact.batch]))
        case BatchSummarized():
            return Want(summary=True)
    return Want()


def _letter(stream: str, id_: str, fields: dict[str, str]) -> Letter:
    try:
        fact = STREAMS[stream].from_fields(fields)
    except msgspec.ValidationError:
        fact = None
    return Letter(
        stream=stream,
        id=id_,
        job=fields.get("job", ""),
        page=getattr(fact, "page", None),
        batch=getattr(fact, "batch", None),
        reason=fields.get("reason", ""),
        attempts=int(fields.get("tries", 0)),
        worker=fields.get("worker", ""),
        fields=fields,
    )

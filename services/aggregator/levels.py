"""Asks for summaries, and in parts for what does not fit one prompt: the levels of the summary tree.

What is answered is kept, so that nothing is bought again when the work is done again after a crash, or when the same
document comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from services.aggregator import citations, prompts, tree
from services.aggregator.prompts import Message, Run
from shared import blobs, questions
from shared.ai.answers import Answer
from shared.events import Fact
from shared.outcomes import Usage
from shared.questions import Claim
from shared.records import Job
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis

T = TypeVar("T", bound=msgspec.Struct)

Keep = Callable[[str, bytes], Awaitable[None]]

AT_ONCE = 4  # parts asked for together


class Ask(Protocol):
    """Asks the summary model, for a run of a job."""

    async def __call__(self, answer: type[T], messages: Sequence[Message], *, job: str, run: str) -> Answer[T]: ...


class Asker:
    """Asks for one fact's piece of work. What was answered before is not asked."""

    def __init__(self, job: Job, fact: Fact, *, model: str, ask: Ask, claim: Claim, keep: Keep) -> None:
        self._job = job
        self._fact = fact
        self._model = model
        self._ask = ask
        self._claim = claim
        self._keep = keep
        self.usage = Usage()
        """Of the answers that this piece of work paid for, also where it did so before it was interrupted."""

    async def one(self, answer: type[T], messages: Sequence[Message]) -> T:
        """Ask. Raises what `ask` and `claim` raise."""
        job, run = self._fact.job, self._fact.run
        question = questions.question(self._job, answer, msgspec.json.encode(messages), model=self._model)
        async with self._claim(question, self._fact) as held:
            if held.found is not None:
                self.usage += held.found.usage
                return held.found.value
            answered = await self._ask(answer, messages, job=job, run=run)
            self.usage += answered.usage
            blob = blobs.summary_answer(job, run, question.digest)
            await self._keep(blob, msgspec.json.encode(answered.value))
            await held.keep(blob, answered.usage)
        return answered.value

    async def parts(self, answer: type[T], asked: Sequence[Sequence[Message]]) -> list[T]:
        """Ask for several parts, a few at once; answers in order. The first error is raised when all have ended."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def part(messages: Sequence[Message]) -> T:
            async with gate:
                return await self.one(answer, messages)

        found = await asyncio.gather(*map(part, asked), return_exceptions=True)
        values: list[T] = []
        for value in found:
            if isinstance(value, BaseException):
                raise value
            values.append(value)
        return values


async def batch(shown: Sequence[tuple[int, PageAnalysis]], *, gaps: Sequence[int], asker: Asker) -> BatchSummary:
    """A batch's summary: one prompt, or, where its pages are too long for one, several whose statements are joined."""
    parts = tree.parts([prompts.page_length(page) for _, page in shown], prompts.BATCH_CHARS)
    if len(parts) == 1:
        return await asker.one(BatchSummary, prompts.batch(shown, gaps=gaps))
    asked = [prompts.batch([shown[i] for i in part], gaps=gaps) for part in parts]
    made = await asker.parts(BatchSummary, asked)
    return BatchSummary(
        title=next((each.title for each in made if each.title.strip()), ""),
        statements=[statement for each in made for statement in each.statements],
    )


async def shortened(runs: Sequence[Run], *, read: Sequence[int], asker: Asker) -> list[Run]:
    """Runs that fit one prompt together: those given, or summaries of consecutive parts of them, level by level."""
    level = list(runs)
    while True:
        parts = tree.parts([prompts.run_length(run) for run in level], prompts.DOCUMENT_CHARS)
        if len(parts) in (1, len(level)):  # it fits, or no two runs fit together: then each is cut, with a mark
            return level
        asked = [[level[i] for i in part] for part in parts]
        made = await asker.parts(DocumentSummary, [prompts.part(part) for part in asked])
        level = [_as_run(part, summary, read) for part, summary in zip(asked, made, strict=True)]


def _as_run(part: Sequence[Run], made: DocumentSummary, read: Sequence[int]) -> Run:
    first, last = part[0].first, part[-1].last
    within = [page for page in read if first <= page <= last]
    said = sorted({page for run in part for each in run.summary.statements for page in each.pages})
    checked = citations.document(made, read=within, said=said)
    statements = [Cited(text=each.text, pages=each.pages) for each in checked.sections] + checked.key_points
    return Run(first, last, BatchSummary(title=checked.title, statements=statements))

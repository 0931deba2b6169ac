"""What does not fit one prompt is asked for in parts, and each part is paid for once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from services.aggregator import levels, prompts
from services.aggregator.levels import Asker
from services.aggregator.prompts import Message, Run
from shared import markup
from shared.ai.answers import Answer
from shared.errors import RetryLater
from shared.events import BatchSummarized
from shared.outcomes import Usage
from shared.records import Job
from shared.results import BatchSummary, Cited, DocumentSummary, PageAnalysis, Section
from tests.shelves import Shelf

JOB = Job(
    ref="local/a", run="r", status="summarizing", kind="pdf", source="u", fingerprint="f", batch_size=25, created_ms=0
)
FACT = BatchSummarized(job="local/a", run="r", batch=0)


class World:
    """A model that cites the first page of each section that it is shown, and a blob store."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.shelf = Shelf(self.kept)
        self.asked: list[str] = []
        self.fails_after = 10**9

    async def keep(self, key: str, data: bytes) -> None:
        self.kept[key] = data

    async def ask(self, answer: Any, messages: Sequence[Message], *, job: str, run: str) -> Answer[Any]:
        if len(self.asked) >= self.fails_after:
            raise RetryLater("503")
        prompt = str(messages[1]["content"])
        self.asked.append(prompt)
        pages = [first for first, _, _ in markup.pages(prompt)]
        value: msgspec.Struct
        if answer is BatchSummary:
            value = BatchSummary(
                title=f"From {pages[0]}", statements=[Cited(text=f"Says {p}.", pages=[p]) for p in pages]
            )
        else:
            sections = [Section(heading="H", text=f"Tells {pages[0]}.", pages=pages)]
            value = DocumentSummary(
                title="T", title_pages=pages[:1], abstract="A.", abstract_pages=pages, sections=sections, key_points=[]
            )
        return Answer(value=value, usage=Usage(calls=1, tokens_in=10), seconds=0.1)

    def asker(self) -> Asker:
        return Asker(JOB, FACT, model="pen", ask=self.ask, claim=self.shelf.claim, keep=self.keep)


def page(text: str) -> PageAnalysis:
    return PageAnalysis(
        text=text,
        headings=[],
        summary="s",
        key_points=[],
        tables=[],
        figures=[],
        language="en",
        kind="text",
        confidence=1,
    )


def runs(count: int, *, chars: int = 3_700) -> list[Run]:
    return [
        Run(
            25 * n + 1,
            25 * n + 25,
            BatchSummary(title=f"B{n}", statements=[Cited(text="x" * chars, pages=[25 * n + 1])]),
        )
        for n in range(count)
    ]


async def test_ordinary_pages_are_one_prompt() -> None:
    world = World()
    made = await levels.batch([(n, page("short")) for n in range(1, 26)], gaps=[], asker=world.asker())
    assert len(world.asked) == 1
    assert len(made.statements) == 25


async def test_long_pages_are_asked_for_in_parts_and_none_of_their_text_is_cut() -> None:
    world, shown = World(), [(n, page(f"{n} " + "long " * 2_000)) for n in range(1, 26)]
    asker = world.asker()
    made = await levels.batch(shown, gaps=[], asker=asker)
    assert len(world.asked) == asker.usage.calls > 1
    assert [statement.pages for statement in made.statements] == [[n] for n in range(1, 26)]
    told = "".join(world.asked)
    assert told.count("long ") == 25 * 2_000
    assert "[…]" not in told


async def test_a_document_of_ten_thousand_pages_goes_through_another_level() -> None:
    world, pages = World(), list(range(1, 10_001))
    asker = world.asker()
    level = await levels.shortened(runs(400), read=pages, asker=asker)
    assert sum(map(prompts.run_length, level)) <= prompts.DOCUMENT_CHARS
    assert (level[0].first, level[-1].last) == (1, 10_000)
    assert 15 < asker.usage.calls < 25
    cited = {number for run in level for each in run.summary.statements for number in each.pages}
    assert cited == {25 * n + 1 for n in range(400)}


async def test_what_fits_is_left_as_it_is() -> None:
    world, few = World(), runs(5)
    assert await levels.shortened(few, read=list(range(1, 126)), asker=world.asker()) == few
    assert world.asked == []


async def test_a_part_that_was_answered_is_not_bought_again_and_is_counted_once() -> None:
    world, pages = World(), list(range(1, 10_001))
    world.fails_after = 12
    with pytest.raises(RetryLater):
        await levels.shortened(runs(400), read=pages, asker=world.asker())
    assert len(world.asked) == 12
    world.fails_after = 10**9
    again = world.asker()
    await levels.shortened(runs(400), read=pages, asker=again)
    assert len(world.asked) == len(set(world.asked)) == again.usage.calls > 12

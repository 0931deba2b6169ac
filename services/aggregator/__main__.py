"""Settings and wiring: `python -m services.aggregator`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import msgspec

from services.aggregator import handler
from services.aggregator.prompts import Message
from shared import service
from shared.ai import model as ai
from shared.ai.answers import Answer
from shared.consumer import Stage
from shared.events import BatchSummarized, PageAnalyzed
from shared.limiter import Limiter
from shared.settings import ModelSettings

T = TypeVar("T", bound=msgspec.Struct)

BATCHES = 32  # most entries only say that a page has ended: they are noted at once
DOCUMENTS = 8


class AggregatorSettings(ModelSettings, frozen=True, kw_only=True, rename="upper"):
    """What the aggregator needs on top."""

    summary_model: str = "gpt-6.1-terra"
    """Writes the summaries: any model of the server. The default is OpenAI's middle one, for its clear prose."""


async def main(app: service.App[AggregatorSettings]) -> None:
    """Consume both stages until told to stop."""
    settings = app.settings
    limiter = Limiter(app.redis, settings.summary_model, rpm=settings.llm_rpm, tpm=settings.llm_tpm)
    app.calls(limiter)
    async with ai.connect(settings, limiter) as model:

        async def ask(answer: type[T], messages: Sequence[Message], *, job: str, run: str) -> Answer[T]:
            clear = partial(app.control.clear, job, run)
            return await model.ask(answer, model=settings.summary_model, messages=messages, clear=clear)

        summarize_batch = partial(
            handler.summarize_batch,
            job=app.jobs.get,
            pages=app.jobs.pages,
            fetch=app.blobs.get,
            ask=ask,
            keep=app.blobs.keep,
        )
        summarize_document = partial(
            handler.summarize_document,
            job=app.jobs.get,
            pages=app.jobs.pages,
            batches=app.jobs.batches,
            fetch=app.blobs.get,
            ask=ask,
            keep=app.blobs.keep,
        )
        await app.consume(
            Stage(PageAnalyzed, summarize_batch, slots=BATCHES),
            Stage(BatchSummarized, summarize_document, slots=DOCUMENTS),
        )


if __name__ == "__main__":
    service.run("aggregator", AggregatorSettings, main)

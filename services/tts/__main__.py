"""Settings and wiring: `python -m services.tts`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta

from services.tts import handler
from services.tts.handler import Voice
from shared import service
from shared.ai import speech
from shared.consumer import Stage
from shared.events import DocSummarized
from shared.limiter import Limiter
from shared.settings import ModelSettings

DOCUMENTS = 2  # while one is being joined, the next is spoken; each holds at most TTS_CONCURRENCY pieces of some MB


class TtsSettings(ModelSettings, frozen=True, kw_only=True, rename="upper"):
    """What the narrator needs on top."""

    tts_model: str = "gpt-4o-mini-tts"
    """Speaks: any model of the server's /v1/audio/speech. The default is OpenAI's newest there; OpenAI has announced
    that it ends on 2027-01-06, with no successor at that address (https://developers.openai.com/api/docs/deprecations)."""
    tts_voice: str = "alloy"
    """One of that model's voices. The default is the one that other servers of this API know too."""
    tts_timeout_s: Annotated[float, Meta(gt=0)] = 120
    """One call, from the request to the last byte of its sound."""
    tts_concurrency: Annotated[int, Meta(ge=1)] = 8
    """Sentences of a document that are spoken at once."""


async def main(app: service.App[TtsSettings]) -> None:
    """Consume summarised documents until told to stop."""
    settings = app.settings
    limiter = Limiter(app.redis, settings.tts_model, rpm=settings.llm_rpm)
    app.calls(limiter)
    async with speech.connect(settings, limiter, timeout_s=settings.tts_timeout_s) as door:

        async def say(text: str, *, job: str, run: str) -> bytes:
            clear = partial(app.control.clear, job, run)
            return await door.say(text, model=settings.tts_model, voice=settings.tts_voice, clear=clear)

        narrate = partial(
            handler.narrate,
            fetch=app.blobs.get,
            keep=app.blobs.keep,
            write=app.blobs.writer,
            forget=app.blobs.delete,
            say=say,
            voice=Voice(model=settings.tts_model, name=settings.tts_voice, cost_usd=door.cost_usd(settings.tts_model)),
            at_once=settings.tts_concurrency,
        )
        await app.consume(Stage(DocSummarized, narrate, slots=DOCUMENTS))


if __name__ == "__main__":
    service.run("tts", TtsSettings, main)

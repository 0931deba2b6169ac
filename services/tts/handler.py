"""The narrator: a document's summary is spoken, sentence by sentence, and joined to one MP3 with its timeline."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from services.tts import joining, sentences
from services.tts.mp3 import Encoder
from shared import blobs
from shared.errors import Refused
from shared.events import DocSummarized
from shared.outcomes import Narrated, Outcome, Speaking, Usage
from shared.results import DocumentSummary

log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
Keep = Callable[[str, bytes], Awaitable[None]]
Forget = Callable[[Iterable[str]], Awaitable[None]]


class Out(Protocol):
    """A file that is written in pieces."""

    async def write(self, data: bytes) -> object: ...


Write = Callable[[str], AbstractAsyncContextManager[Out]]


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks. `cost_usd` of a call: None where it is not known."""

    model: str
    name: str
    cost_usd: float | None


class Say(Protocol):
    """Speaks a text of a job, unless what `run` names was cancelled: PCM as in `joining`."""

    async def __call__(self, text: str, *, job: str, run: str) -> bytes: ...


async def narrate(
    fact: DocSummarized,
    *,
    fetch: Fetch,
    keep: Keep,
    write: Write,
    forget: Forget,
    say: Say,
    voice: Voice,
    at_once: int,
) -> AsyncGenerator[Outcome, None]:
    """Speak `at_once` sentences side by side, then join them. A piece that is stored is not bought again."""
    yield Speaking()
    spoken = sentences.of(await _summary(fact, fetch))
    pieces = sentences.pieces(spoken)
    if not pieces:
        raise Refused("The summary holds nothing that could be spoken.")
    keys = [blobs.speech_piece(fact.job, fact.run, digest(voice, piece.text)) for piece in pieces]

    async def buy(key: str, text: str) -> None:
        if not await _stored(key, fetch):
            await keep(key, await say(text, job=fact.job, run=fact.cancelled_by))

    wanted = {key: piece.text for key, piece in zip(keys, pieces, strict=True)}
    await _side_by_side(buy, wanted, at_once)

    audio, timeline = blobs.narration(fact.job, fact.run), blobs.timeline(fact.job, fact.run)
    async with write(audio) as out:
        lengths = await _joined(out, keys, joining.pauses(spoken, pieces), fetch)
    times = joining.timeline(spoken, pieces, lengths)
    await keep(timeline, msgspec.json.encode(times))
    log.info("narrated", extra={"action": "narrated", "pieces": len(wanted), "seconds": times.duration_s})
    # All pieces count as calls, whichever attempt bought them: an attempt that was put off recorded no usage.
    cost_usd = None if voice.cost_usd is None else voice.cost_usd * len(wanted)
    yield Narrated(audio=audio, timeline=timeline, usage=Usage(calls=len(wanted), cost_usd=cost_usd))
    await forget(wanted)  # the outcome is recorded: nobody needs the pieces any more, 15 times the MP3's size


def digest(voice: Voice, text: str) -> str:
    """Names a piece by everything that its sound depends on."""
    return hashlib.sha256(msgspec.json.encode([voice.model, voice.name, text])).hexdigest()


async def _summary(fact: DocSummarized, fetch: Fetch) -> DocumentSummary:
    try:
        return msgspec.json.decode(await fetch(fact.summary), type=DocumentSummary)
    except FileNotFoundError as error:
        raise Refused(f"The summary to be spoken is no longer stored: {fact.summary}") from error


async def _stored(key: str, fetch: Fetch) -> bool:
    try:
        await fetch(key)
    except FileNotFoundError:
        return False
    return True


async def _side_by_side(buy: Callable[[str, str], Awaitable[None]], wanted: Mapping[str, str], at_once: int) -> None:
    """After a failure none is begun, and those in flight are finished: they are paid for. The first error is raised."""
    waiting = deque(wanted.items())

    async def buyer() -> None:
        while waiting:
            key, text = waiting.popleft()
            bought = False
            try:
                await buy(key, text)
                bought = True
            finally:
                if not bought:
                    waiting.clear()

    # Not a task group, which would cut off the calls in flight.
    for end in await asyncio.gather(*(buyer() for _ in range(at_once)), return_exceptions=True):
        if isinstance(end, BaseException):
            raise end


async def _joined(out: Out, keys: Sequence[str], pauses: Sequence[int], fetch: Fetch) -> list[int]:
    """Write the MP3, a piece at a time; answers the samples of each piece."""
    encoder, lengths = Encoder(), []
    for key, pause in zip(keys, pauses, strict=True):
        pcm = await fetch(key)
        length = joining.samples(pcm)
        lengths.append(length)
        sound = joining.silence(pause) + pcm[: length * joining.SAMPLE]
        if ready := await asyncio.to_thread(encoder.encode, sound):
            await out.write(ready)
    await out.write(encoder.finish())
    return lengths

"""The narrator: one summary, spoken and joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest

from services.tts import handler, joining, sentences
from services.tts.handler import Voice
from shared.errors import Refused, RetryLater
from shared.events import DocSummarized
from shared.outcomes import Narrated, Outcome, Speaking, Usage
from shared.results import DocumentSummary, Timeline
from tests.unit.test_tts_sentences import SUMMARY

FACT = DocSummarized(job="local/a", run="r1", summary="summary.json")
VOICE = Voice(model="tongue", name="ann", cost_usd=None)
SPOKEN = [sentence.text for sentence in sentences.of(SUMMARY)]


class Store(dict[str, bytes]):
    async def fetch(self, key: str) -> bytes:
        try:
            return self[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    async def keep(self, key: str, data: bytes) -> None:
        self[key] = data

    async def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self[key]

    @asynccontextmanager
    async def write(self, key: str) -> AsyncIterator[Out]:
        out = Out()
        yield out
        self[key] = bytes(out.data)

    def pieces(self) -> list[str]:
        return [key for key in self if key.endswith(".pcm")]


class Out:
    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data


class Mouth:
    """Speaks 0.1 s a character, and remembers what it was asked for."""

    def __init__(self, fails: Callable[[str], Exception | None] = lambda text: None) -> None:
        self.said: list[str] = []
        self.at_once = self.most_at_once = 0
        self._fails = fails

    async def say(self, text: str, *, job: str, run: str) -> bytes:
        assert (job, run) == (FACT.job, FACT.cancelled_by)
        self.said.append(text)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if error := self._fails(text):
            raise error
        return joining.silence(2_400 * len(text)) + b"\0"  # half a sample too many does no harm


def store(summary: DocumentSummary = SUMMARY) -> Store:
    return Store({"summary.json": msgspec.json.encode(summary)})


async def narrate(kept: Store, mouth: Mouth, voice: Voice = VOICE, *, at_once: int = 3) -> list[Outcome]:
    made = handler.narrate(
        FACT,
        fetch=kept.fetch,
        keep=kept.keep,
        write=kept.write,
        forget=kept.forget,
        say=mouth.say,
        voice=voice,
        at_once=at_once,
    )
    async with aclosing(made) as outcomes:
        return [outcome async for outcome in outcomes]


async def test_a_summary_is_spoken_and_joined_with_its_timeline() -> None:
    kept, mouth = store(), Mouth()
    began, done = await narrate(kept, mouth)
    assert began == Speaking()
    assert isinstance(done, Narrated)
    assert sorted(mouth.said) == sorted(SPOKEN)
    assert kept[done.audio][:2] == b"\xff\xf3"
    times = msgspec.json.decode(kept[done.timeline], type=Timeline)
    assert [segment.text for segment in times.segments] == SPOKEN
    assert [round(each.end_s - each.start_s, 3) for each in times.segments] == [len(text) / 10 for text in SPOKEN]
    assert len(kept[done.audio]) / 8000 == pytest.approx(times.duration_s, abs=0.15)
    assert done.usage == Usage(calls=len(SPOKEN), cost_usd=None)
    assert kept.pieces() == [], "they are not needed any more"


async def test_only_so_many_sentences_are_spoken_at_once() -> None:
    mouth = Mouth()
    await narrate(store(), mouth, at_once=3)
    assert mouth.most_at_once == 3


async def test_pieces_that_exist_are_not_bought_again_after_a_crash() -> None:
    kept = store()
    first = Mouth(lambda text: RetryLater("busy") if text == SPOKEN[4] else None)
    with pytest.raises(RetryLater, match="busy"):
        await narrate(kept, first, at_once=2)
    assert len(kept.pieces()) == len(first.said) - 1, "what was in flight beside the failure is kept"
    assert len(first.said) < len(SPOKEN), "after a failure, no call is begun"
    second = Mouth()
    _, done = await narrate(kept, second)
    assert isinstance(done, Narrated)
    assert sorted([*first.said, *second.said]) == sorted([*SPOKEN, SPOKEN[4]]), "only the failed one is asked for again"
    assert done.usage.calls == len(SPOKEN), "those of the first attempt are counted too"


async def test_a_sentence_that_comes_twice_is_bought_once_and_heard_twice() -> None:
    twice = msgspec.structs.replace(SUMMARY, sections=[], abstract="It is gone. It is gone.")
    kept, mouth = store(twice), Mouth()
    _, done = await narrate(kept, mouth)
    assert isinstance(done, Narrated)
    assert mouth.said.count("It is gone.") == 1
    times = msgspec.json.decode(kept[done.timeline], type=Timeline)
    assert [segment.text for segment in times.segments].count("It is gone.") == 3


def test_a_piece_is_named_by_model_voice_and_text() -> None:
    other = (Voice(model="other", name="ann", cost_usd=0), Voice(model="tongue", name="bob", cost_usd=0))
    names = {handler.digest(voice, text) for voice in (VOICE, *other) for text in ("one", "two")}
    assert len(names) == 6
    assert handler.digest(VOICE, "one") == handler.digest(msgspec.structs.replace(VOICE, cost_usd=1.0), "one")


async def test_a_known_price_is_a_calls_and_free_is_free() -> None:
    _, done = await narrate(store(), Mouth(), Voice(model="local", name="joe", cost_usd=0.0))
    assert isinstance(done, Narrated)
    assert done.usage == Usage(calls=len(SPOKEN), cost_usd=0.0)


async def test_a_summary_that_is_gone_or_says_nothing_is_refused_in_a_sentence() -> None:
    with pytest.raises(Refused, match=r"no longer stored: summary\.json"):
        await narrate(Store(), Mouth())
    empty = DocumentSummary(title="", title_pages=[], abstract="", abstract_pages=[], sections=[], key_points=[])
    with pytest.raises(Refused, match="nothing that could be spoken"):
        await narrate(store(empty), Mouth())

"""How the built-in model speaks."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.local_model import encoding, resampling, speaking, voice
from services.local_model.encoding import RATE_HZ
from services.local_model.resampling import Samples
from services.local_model.voice import VOICE_MODEL, Voice
from services.local_model.wire import Refusal

needs_piper = pytest.mark.skipif(not voice.installed(), reason="piper-tts is optional and not installed: `make speech`")


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> Samples:
    return np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize("hz", [100, 1000, 7000, 9000])
def test_a_tone_is_the_same_tone_at_another_rate(hz: float) -> None:
    found, wanted = resampling.resample(tone(hz, 22_050), 22_050, RATE_HZ), tone(hz, RATE_HZ)
    assert abs(len(found) - len(wanted)) <= 1
    inner = slice(100, -100)
    assert np.abs(found - wanted[: len(found)])[inner].max() < 0.001  # 60 dB below


def test_no_tone_is_there_twice() -> None:
    spectrum = np.abs(
        np.fft.rfft(resampling.resample(tone(9000, 22_050, 1), 22_050, RATE_HZ)[:RATE_HZ] * np.hanning(RATE_HZ))
    )
    others = np.delete(spectrum, np.arange(8990, 9011))
    assert others.max() < spectrum.max() / 3000  # 70 dB below


@given(st.integers(0, 500), st.sampled_from([8_000, 16_000, 22_050, 24_000, 48_000]))
def test_the_length_follows_from_the_rates(count: int, rate_hz: int) -> None:
    found = resampling.resample(np.ones(count, np.float32), rate_hz, RATE_HZ)
    assert len(found) == -(-count * RATE_HZ // rate_hz)
    assert found.dtype == np.float32


def test_pcm_is_16_bits_without_a_header_and_wav_has_one() -> None:
    samples = np.array([0, 0.5, -1, 2], np.float32)
    pcm = encoding.encoded(samples, "pcm")
    assert np.frombuffer(pcm, "<i2").tolist() == [0, 16384, -32767, 32767]
    with wave.open(io.BytesIO(encoding.encoded(samples, "wav"))) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, 4)
        assert file.readframes(4) == pcm


@pytest.mark.skipif("mp3" not in encoding.formats(), reason="lameenc is not installed")
def test_mp3_is_a_tenth_of_pcm_or_less() -> None:
    mp3 = encoding.encoded(tone(440, RATE_HZ, 2), "mp3")
    assert mp3[0] == 0xFF
    assert 10_000 < len(mp3) < 20_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It rains. It pours.", ["It rains.", "It pours."]),
        ("A title\nIt rains.", ["A title", "It rains."]),
        ("one two, three four five", ["one two,", "three four", "five"]),
        ("abcdefghijklmn", ["abcdefghijk", "lmn"]),
        (" \n ", []),
    ],
)
def test_a_text_is_spoken_in_pieces_that_end_where_a_voice_pauses(text: str, found: list[str]) -> None:
    assert list(voice.pieces(text, longest=11)) == found


@given(st.text(alphabet="ab ,.\n", max_size=200))
def test_pieces_are_short_and_lose_nothing(text: str) -> None:
    found = list(voice.pieces(text, longest=20))
    assert all(0 < len(piece) <= 20 for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"model": "tts-1"}, 404, "'tts-1' does not speak here; 'quire-voice-1' does"),
        ({"input": " \n"}, 400, "input is empty"),
        ({"input": "a" * 4097}, 400, "4097 characters, more than 4096; send it in pieces"),
        ({"speed": 9}, 400, "speed is 9.0; it goes from 0.25 to 4"),
        ({"response_format": "opus"}, 400, "response_format is opus; this server makes pcm, wav"),
        ({"response_format": "midi"}, 400, "Invalid enum value 'midi'"),
        ({"stream_format": "sse"}, 400, "one piece"),
    ],
)
def test_what_cannot_be_spoken_is_told(fields: dict[str, object], status: int, told: str) -> None:
    body = msgspec.json.encode({"model": VOICE_MODEL, "input": "Hello", "voice": "alloy"} | fields)
    with pytest.raises(Refusal, match=told) as refusal:
        speaking.decoded(body)
    assert refusal.value.status == status


@pytest.fixture
def speaker() -> Iterator[Voice]:
    with ThreadPoolExecutor(1) as thread:
        yield Voice(thread)


async def say(speaker: Voice, text: str, *, speed: float = 1) -> Samples:
    return await speaker.say(text, speed=speed, gone=lambda: False)


@needs_piper
async def test_words_become_speech_of_a_likely_length_and_level(speaker: Voice) -> None:
    said = await say(speaker, "The water in the harbour rises and falls twice a day.")
    assert 2 < len(said) / RATE_HZ < 5
    assert 0.03 < float(np.sqrt((said**2).mean())) < 0.3
    assert 0.5 < float(np.abs(said).max()) < 0.95  # neither faint nor clipped
    quicker = await say(speaker, "The water in the harbour rises and falls twice a day.", speed=2)
    assert len(quicker) < 0.7 * len(said)


@needs_piper
@pytest.mark.parametrize("text", ["…", "[[ ]]", "\U0001f600", "漢字", "\x00"])
async def test_what_cannot_be_pronounced_is_no_error(speaker: Voice, text: str) -> None:
    assert len(await say(speaker, text)) > 0


@needs_piper
async def test_too_much_to_say_is_told_to_come_again_and_one_who_has_gone_is_not_spoken_to(speaker: Voice) -> None:
    first = asyncio.create_task(say(speaker, "Hello there."))
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="12 characters are waiting") as told:
        await say(speaker, "a " * 8_000)
    assert (told.value.status, told.value.retry_after_s) == (429, 5)
    assert len(await first)
    with pytest.raises(Refusal, match="did not wait"):
        await speaker.say("Hello there.", speed=1, gone=lambda: True)


def test_without_the_packages_the_sentence_tells_how_to_get_a_voice() -> None:
    assert "`make speech`" in voice.MISSING
    assert "TTS_MODEL" in voice.MISSING
    assert importlib.util.find_spec("piper") or not voice.installed()

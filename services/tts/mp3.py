"""MP3 out of PCM, in pieces: what goes in comes out soon, and nothing is held. Wraps lameenc, which ships no types."""

from __future__ import annotations

import lameenc

from services.tts.joining import RATE

KBIT_S = 64  # speech in one channel needs no more; constant, so that a player finds a second by its byte
_QUALITY = 5  # LAME's middle: 0 is best and slowest. 35 s of speech take 80 ms


class Encoder:
    """One MP3 file. Not for two threads at once."""

    def __init__(self) -> None:
        self._lame = lameenc.Encoder()
        self._lame.set_in_sample_rate(RATE)
        self._lame.set_channels(1)
        self._lame.set_bit_rate(KBIT_S)
        self._lame.set_quality(_QUALITY)
        self._lame.silence()  # else it reports on standard output

    def encode(self, pcm: bytes) -> bytes:
        """Whole samples, as in `joining`; answers what is ready, which may be nothing."""
        return bytes(self._lame.encode(pcm)) if pcm else b""

    def finish(self) -> bytes:
        """The end of the file."""
        return bytes(self._lame.flush())

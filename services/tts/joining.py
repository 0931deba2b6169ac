"""Joins spoken pieces: the silence before each, and which second belongs to which sentence. Pure.

Sound is PCM as the speech API sends it (`response_format="pcm"`): 24,000 samples a second of 16 bits, little-endian,
one channel, without a header. Everything is counted in samples, so that nothing drifts over an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.tts.sentences import Piece, Sentence
from shared.results import Segment, Timeline

RATE = 24_000  # samples a second
SAMPLE = 2  # bytes


def samples(pcm: bytes) -> int:
    """How many whole ones these bytes hold."""
    return len(pcm) // SAMPLE


def silence(count: int) -> bytes:
    """So many samples of it."""
    return bytes(SAMPLE * count)


def pauses(sentences: Sequence[Sentence], pieces: Sequence[Piece]) -> list[int]:
    """Samples of silence before each piece; none inside a sentence."""
    before = [-1, *(piece.sentence for piece in pieces)]
    return [
        0 if piece.sentence == last else round(RATE * sentences[piece.sentence].pause_s)
        for piece, last in zip(pieces, before, strict=False)
    ]


def timeline(sentences: Sequence[Sentence], pieces: Sequence[Piece], lengths: Sequence[int]) -> Timeline:
    """`lengths`: samples of each spoken piece. A pause belongs to no sentence."""
    spans = list(_spans(pauses(sentences, pieces), lengths))
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for piece, (start, end) in zip(pieces, spans, strict=True):
        starts.setdefault(piece.sentence, start)
        ends[piece.sentence] = end
    return Timeline(
        duration_s=_seconds(spans[-1][1]) if spans else 0.0,
        segments=[
            Segment(
                start_s=_seconds(start),
                end_s=_seconds(ends[place]),
                text=sentences[place].text,
                section=sentences[place].section,
                pages=sentences[place].pages,
            )
            for place, start in starts.items()
        ],
    )


def _spans(silences: Sequence[int], lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First sample of each piece, and the one after its last."""
    at = 0
    for pause, length in zip(silences, lengths, strict=True):
        yield at + pause, at + pause + length
        at += pause + length


def _seconds(count: int) -> float:
    return round(count / RATE, 3)

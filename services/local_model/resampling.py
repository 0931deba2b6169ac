"""Changing the sample rate of speech, by a polyphase filter of windowed sinc."""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono, from -1 to 1."""

_SIDE = 32  # samples of the source on either side of each new one
_BETA = 9.0  # Kaiser's window: what is folded back lies 90 dB below
_PASSED = 0.94  # of the lower of both Nyquist frequencies


def resample(samples: Samples, source_hz: int, target_hz: int) -> Samples:
    """The same sound at another rate; `len(samples) * target_hz / source_hz` samples of it, rounded up."""
    if source_hz == target_hz or not len(samples):
        return samples
    divisor = gcd(source_hz, target_hz)
    up, down = target_hz // divisor, source_hz // divisor
    filters = _filters(up, down)
    count = -(-len(samples) * up // down)
    padded = np.pad(samples, (_SIDE - 1, _SIDE + down))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SIDE)
    result = np.empty(count, np.float32)
    # New sample n lies at n * down / up of the source: all that are `up` apart lie alike between two samples.
    for phase in range(min(up, count)):
        wanted = len(range(phase, count, up))
        start = phase * down // up
        result[phase::up] = windows[start : start + wanted * down : down][:wanted] @ filters[phase]
    return result


@cache
def _filters(up: int, down: int) -> NDArray[np.float32]:
    """One filter for each place between two samples: (up, 2 * _SIDE)."""
    between = (np.arange(up) * down % up / up)[:, None]
    distance = np.arange(-_SIDE + 1, _SIDE + 1)[None, :] - between
    cutoff = _PASSED * min(1.0, up / down)
    window = np.i0(_BETA * np.sqrt(np.maximum(0.0, 1 - (distance / _SIDE) ** 2))) / np.i0(_BETA)
    taps = cutoff * np.sinc(cutoff * distance) * window
    normed: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return normed

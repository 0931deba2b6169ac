"""What a recognising process does: an image in, its text out, by Tesseract. Nothing here runs in the server itself.

Image and font libraries are written in C and read what strangers send, so they work where a crash costs one page.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import cache
from typing import Any

import msgspec

from services.local_model import pixels
from services.local_model.pixels import Unreadable

TIMEOUT_S = 60  # a dense page takes a second or two; what takes longer is no page

_DOUBTED = 0.3
"""Mean confidence below which what was recognised is a picture's texture, not words: printed text has 0.8 and more."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What Tesseract reads with."""

    languages: str
    """Of its data files, as in `eng+deu`."""
    folder: str
    """Where they lie."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised on a page image."""

    text: str
    """Lines as they stand, an empty line between blocks; "" where there are no words."""
    confidence: float
    """0 to 1: Tesseract's own, the mean of the words, each weighted by its length."""
    blank: bool
    """Nothing is on the page, or specks only."""


def stay_with_parent() -> None:
    """End with the server, however it ends, and not before: a signal to all of its group is the server's to judge."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    # One thread a page: several pages at once are faster than one page by several threads. OpenMP reads it when loaded.
    os.environ["OMP_THREAD_LIMIT"] = "1"

    def watch() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def recognise(data: bytes, sight: Sight) -> Seen:
    """Recognise the text of a JPEG, PNG or WebP. Raises Unreadable.

    What takes longer than TIMEOUT_S ends this process: nothing else stops C code.
    """
    signal.alarm(TIMEOUT_S)
    try:
        page = pixels.decoded(data)
        if page.bare:
            return Seen(text="", confidence=0.0, blank=True)
        return _recognised(page, sight)
    finally:
        signal.alarm(0)


def _recognised(page: pixels.Pixels, sight: Sight) -> Seen:
    tesseract = _tesseract(sight)
    try:
        tesseract.SetImage(page.image)
        tesseract.SetSourceResolution(page.dpi)
        if not tesseract.Recognize():
            raise Unreadable("Tesseract gave up on the image.")
        text, words = tesseract.GetUTF8Text(), tesseract.MapWordConfidences()
    except RuntimeError as error:
        raise Unreadable(f"Tesseract can't read the image: {error}.") from error
    finally:
        tesseract.Clear()
    confidence = mean_confidence(words)
    if confidence < _DOUBTED:
        return Seen(text="", confidence=0.0, blank=page.specked)
    return Seen(text=text.strip(), confidence=confidence, blank=False)


def mean_confidence(words: list[tuple[str, int]]) -> float:
    """0 to 1, each word weighted by its letters and digits; rules and specks that pass for words have none."""
    weights = [sum(map(str.isalnum, word)) for word, _ in words]
    told = sum(weight * sure for weight, (_, sure) in zip(weights, words, strict=True))
    return told / sum(weights) / 100 if any(weights) else 0.0


@cache
def _tesseract(sight: Sight) -> Any:
    import tesserocr  # where it isn't installed, no such process is started

    tesserocr.set_leptonica_log_level(tesserocr.LeptLogLevel.NONE)  # its remarks would stand between our log lines
    try:
        tesseract = tesserocr.PyTessBaseAPI(path=f"{sight.folder}/", lang=sight.languages)
    except RuntimeError as error:
        raise Unreadable(
            f"Tesseract does not start with the languages {sight.languages!r} in {sight.folder}: {error}. "
            "Are the files of OCR_LANGUAGES whole?"
        ) from error
    tesseract.SetVariable("debug_file", os.devnull)
    return tesseract

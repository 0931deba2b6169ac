"""How the built-in model reads page images."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from services.local_model import answering, eyes, images, pixels, reading, recognising, sighting
from services.local_model.eyes import Eyes
from services.local_model.pixels import Unreadable
from services.local_model.recognising import Seen, Sight
from services.local_model.sources import NO_WORDS, source, tells_unread
from services.local_model.summarizing import batch
from services.local_model.wire import ChatRequest, Refusal
from shared import markup
from shared.results import PageAnalysis
from shared.settings import SettingsError
from tests.conftest import eventually

LINES = [
    "5 Tides",
    "The water in the harbour rises and falls twice a day.",
    "Spring tides are high because the moon and the sun pull",
    "the water together. Neap tides are low because they pull",
    "it apart. Pilots are trained for every tide by the office.",
]

needs_tesseract = pytest.mark.skipif(
    importlib.util.find_spec("tesserocr") is None, reason="tesserocr is not installed: it has no wheel here"
)


def drawn(
    lines: list[str] = LINES, *, size: tuple[int, int] = (1000, 700), paper: int = 255, ink: int = 20
) -> Image.Image:
    page = Image.new("L", size, paper)
    for row, line in enumerate(lines):
        ImageDraw.Draw(page).text((80, 80 + row * 50), line, font=ImageFont.load_default(30), fill=ink)
    return page


def file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def words(seen: Seen) -> str:
    return " ".join(seen.text.split())


@pytest.fixture
def sight() -> Sight:
    return sighting.find("eng", "")


@pytest.fixture
def reader(sight: Sight) -> Iterator[Eyes]:
    with eyes.opened(sight, processes=1) as opened:
        yield opened


async def read(reader: Eyes, image: bytes) -> Seen:
    return await reader.read(image, gone=lambda: False)


@needs_tesseract
async def test_print_is_recognised_with_how_sure_it_is_in_each_format(reader: Eyes) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        seen = await read(reader, file(drawn(), kind))
        assert words(seen) == " ".join(LINES)
        assert 0.85 < seen.confidence <= 1
        assert not seen.blank


@needs_tesseract
async def test_odd_images_of_a_page_are_read_alike(reader: Eyes) -> None:
    page = drawn()
    transparent = Image.new("RGBA", page.size, (0, 0, 0, 0))
    transparent.paste((0, 0, 0, 255), mask=page.point(lambda value: 255 - value))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: to be turned by 90 degrees to the right
    odd = {
        "transparent": file(transparent),
        "16 bits": file(Image.fromarray(np.asarray(page).astype(np.uint16) * 257)),
        "CMYK": file(page.convert("CMYK"), "JPEG", quality=90),
        "turned": file(page.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=turned),
        "white on black": file(drawn(paper=20, ink=250)),
        "bilevel": file(page.convert("1")),
    }
    for name, image in odd.items():
        assert words(await read(reader, image)) == " ".join(LINES), name


@needs_tesseract
async def test_an_empty_page_is_blank_though_the_scanner_left_noise_and_a_speck(reader: Eyes) -> None:
    noisy = np.random.default_rng(4).normal(235, 6, (900, 700)).clip(0, 255).astype(np.uint8)
    assert (await read(reader, file(Image.fromarray(noisy)))).blank
    noisy[300:309, 200:209] = 30
    assert (await read(reader, file(Image.fromarray(noisy)))).blank
    assert (await read(reader, file(Image.new("L", (700, 900), 255)))).blank


@needs_tesseract
async def test_a_picture_is_neither_blank_nor_read(reader: Eyes) -> None:
    blobs = np.random.default_rng(1).integers(0, 255, (15, 11), dtype=np.uint8)
    seen = await read(reader, file(Image.fromarray(blobs).resize((700, 900), Image.Resampling.BICUBIC)))
    assert (seen.text, seen.blank) == ("", False)


@needs_tesseract
async def test_the_loop_goes_on_while_a_page_is_read(reader: Eyes) -> None:
    task = asyncio.create_task(read(reader, file(drawn())))
    longest = 0.0
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - began)
    assert words(await task)
    assert longest < 0.5  # starting a process takes a few milliseconds; a page, ten times that


@needs_tesseract
async def test_an_image_that_ends_its_process_costs_its_own_page_only(reader: Eyes) -> None:
    before = set(multiprocessing.active_children())
    doomed = asyncio.create_task(read(reader, file(drawn(LINES * 12, size=(2400, 3200)))))
    (child,) = await eventually(started_since(before))
    following = asyncio.create_task(read(reader, file(drawn())))
    child.kill()
    with pytest.raises(Refusal, match="The image ended the process that recognises text") as told:
        await doomed
    assert told.value.status == 400
    assert words(await following) == " ".join(LINES)


def started_since(before: set[multiprocessing.process.BaseProcess]):  # type: ignore[no-untyped-def]
    async def children() -> list[multiprocessing.process.BaseProcess]:
        return [child for child in multiprocessing.active_children() if child not in before]

    return children


@needs_tesseract
async def test_one_pages_too_many_is_told_to_come_again_and_one_who_has_gone_is_not_worked_for(
    reader: Eyes, monkeypatch: pytest.MonkeyPatch, sight: Sight
) -> None:
    monkeypatch.setattr(eyes, "_QUEUE", 0)
    with eyes.opened(sight, processes=1) as small:
        first = asyncio.create_task(read(small, file(drawn())))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="come again in 5 s") as told:
            await read(small, file(drawn()))
        assert (told.value.status, told.value.retry_after_s) == (429, 5)
        assert words(await first)
    with pytest.raises(Refusal, match="did not wait"):
        await reader.read(b"never looked at", gone=lambda: True)


def test_what_is_no_image_is_told() -> None:
    whole = file(drawn(), "JPEG")
    for data, sentence in (
        (b"%PDF-1.7", "no JPEG, PNG or WebP: it starts with 25 50 44 46"),
        (b"", "it starts with nothing"),
        (whole[: len(whole) // 2], "is damaged"),
        (file(Image.new("1", (12_000, 12_000))), "12000 x 12000 pixels, more than 120 million"),
        (file(Image.new("1", (30_000, 30_000))), "too large"),
    ):
        with pytest.raises(Unreadable, match=sentence):
            pixels.decoded(data)


def test_a_far_too_large_page_is_looked_at_smaller() -> None:
    page = pixels.decoded(file(Image.new("L", (7000, 9900), 255)))
    assert max(page.image.size) == pixels.LONGEST_SIDE
    assert (page.bare, page.dpi) == (True, 299)


def test_an_images_address_has_to_hold_it() -> None:
    assert images.data("data:image/jpeg;base64,/9j/") == b"\xff\xd8\xff"
    with pytest.raises(Refusal, match=r"begins with 'https://example\.org/page\.jpg'"):
        images.data("https://example.org/page.jpg")
    with pytest.raises(Refusal, match="no base64"):
        images.data("data:image/jpeg;base64,!!!!")


def test_the_mean_confidence_counts_letters_and_no_rules() -> None:
    assert recognising.mean_confidence([("harbour", 90), ("a", 10), ("——", 0), (" ", 95)]) == pytest.approx(0.8)
    assert recognising.mean_confidence([("——", 95), (" ", 95)]) == 0


SEEN = Seen(text="\n".join(LINES), confidence=0.83, blank=False)


def test_what_was_recognised_is_read_like_a_text_layer_and_no_surer_than_its_words() -> None:
    page = reading.see(SEEN, page=12)
    assert page.headings == ["5 Tides"]
    assert page.text.startswith("# 5 Tides\n\nThe water in the harbour rises and falls twice a day.")
    assert page.confidence == 0.83
    assert reading.see(msgspec.structs.replace(SEEN, confidence=0.97), page=12).confidence == 0.9


def test_a_blank_page_says_nothing_and_a_picture_is_named_as_not_read() -> None:
    blank = reading.see(Seen(text="", confidence=0, blank=True), page=3)
    assert (blank.kind, blank.text, blank.summary, blank.confidence) == ("blank", "", "", 0.9)
    picture = reading.see(Seen(text="", confidence=0, blank=False), page=4)
    assert (picture.kind, picture.summary, picture.confidence) == ("other", NO_WORDS, 0.0)
    assert not source(4, f"Summary: {NO_WORDS}").read
    (statement,) = batch([(4, 4, f"Summary: {NO_WORDS}")]).statements
    assert tells_unread(statement.text)


def asked(text: str, *urls: str) -> ChatRequest:
    parts = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
    return msgspec.convert({"model": answering.MODEL, "messages": [{"role": "user", "content": parts}]}, ChatRequest)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("Read page 12.", True),
        (markup.page(12, " \n"), True),
        (markup.page(12, "12"), True),
        (markup.page(12, "\n".join(LINES)), False),
    ],
)
def test_an_image_is_looked_at_where_the_text_layer_says_nothing(text: str, needed: bool) -> None:
    assert answering.image_to_see(asked(text, "data:x"), "page_analysis") == ("data:x" if needed else None)
    assert answering.image_to_see(asked(text), "page_analysis") is None
    assert answering.image_to_see(asked(text, "data:x"), "text") is None


def test_the_page_of_an_image_has_the_number_that_the_prompt_names() -> None:
    cover = Seen(text="The Harbour Handbook\nA Guide for Pilots", confidence=0.9, blank=False)
    request = asked("Read page 1.", "data:x")
    page = msgspec.json.decode(answering.answer(request, "page_analysis", cover), type=PageAnalysis)
    assert (page.kind, page.headings) == ("cover", ["The Harbour Handbook"])


def test_one_page_a_request_is_read() -> None:
    with pytest.raises(Refusal, match="There are 2 images"):
        answering.image_to_see(asked("Read page 1.", "data:x", "data:y"), "page_analysis")


@needs_tesseract
def test_a_language_without_data_is_told_with_those_there_are(tmp_path: Path) -> None:
    for name in ("deu", "eng"):
        (tmp_path / f"{name}.traineddata").touch()
    assert sighting.find("eng+deu", str(tmp_path)) == Sight(languages="eng+deu", folder=str(tmp_path))
    with pytest.raises(SettingsError, match=r"OCR_LANGUAGES: there is no fra.traineddata in .* data for deu, eng"):
        sighting.find("eng+fra", str(tmp_path))
    with pytest.raises(SettingsError, match=r"joined by \+, as in eng\+deu, got 'eng\+'"):
        sighting.find("eng+", str(tmp_path))

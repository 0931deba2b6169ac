"""A document on its way into the blob store, from pieces of a body to files; no network."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from services.gateway import ingest, uploads
from services.gateway.body import PIECE_BYTES, Body
from services.gateway.ingest import Taken
from services.gateway.problems import Problem
from shared.blobs import Blobs

PAGES = [b"\xff\xd8\xff page %d" % number for number in range(3)]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


def body(pieces: Iterable[bytes], *, limit_bytes: int = 10_000_000, stall_s: float = 5) -> Body:
    left = iter(pieces)

    async def read() -> bytes:
        return next(left, b"")

    return Body(read, limit_bytes=limit_bytes, stall_s=stall_s)


def json_body(pages: list[bytes]) -> bytes:
    return json.dumps({"images_base64": [base64.b64encode(page).decode() for page in pages]}).encode()


def files(blobs: Blobs) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in blobs.root.rglob("*") if path.is_file()}


async def take(blobs: Blobs, pieces: Iterable[bytes], **limits: int) -> Taken:
    most = {"max_image_bytes": 1_000_000, "max_pages": 100, **limits}
    async with uploads.begin(blobs) as upload:
        return await ingest.images(body(pieces), upload, **most)


async def take_pdf(blobs: Blobs, pieces: Iterable[bytes]) -> Taken:
    async with uploads.begin(blobs) as upload:
        return await ingest.pdf(body(pieces), upload)


async def test_each_image_becomes_a_blob_named_by_its_place(blobs: Blobs) -> None:
    whole = json_body(PAGES)
    taken = await take(blobs, [whole[:30], whole[30:31], whole[31:]])
    assert taken.pages == 3
    assert files(blobs) == {f"{number:05}": page for number, page in enumerate(PAGES)}


async def test_large_images_are_stored_as_they_are(blobs: Blobs) -> None:
    large = b"\xff\xd8\xff" + bytes(900_000)
    await take(blobs, [json_body([large, PAGES[0]])])
    assert files(blobs) == {"00000": large, "00001": PAGES[0]}


async def test_the_same_images_have_the_same_fingerprint_and_no_others(blobs: Blobs) -> None:
    async def fingerprint(pages: list[bytes], piece: int = 10_000) -> str:
        whole = json_body(pages)
        return (await take(blobs, [whole[at : at + piece] for at in range(0, len(whole), piece)])).fingerprint

    first = await fingerprint(PAGES)
    assert first == await fingerprint(PAGES, piece=5)
    shifted = [PAGES[0] + PAGES[1][:3], *PAGES[2:]]
    others = [await fingerprint(pages) for pages in (PAGES[::-1], PAGES[:2], shifted)]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("pages", "limits", "slug"),
    [
        ([PAGES[0], b"no image"], {}, "bad-image"),
        ([PAGES[0], b"\xff\xd8\xff" + bytes(200)], {"max_image_bytes": 100}, "image-too-large"),
        (PAGES, {"max_pages": 2}, "too-many-pages"),
    ],
)
async def test_a_refused_body_leaves_nothing_behind(
    blobs: Blobs, pages: list[bytes], limits: dict[str, int], slug: str
) -> None:
    with pytest.raises(Problem) as refused:
        await take(blobs, [json_body(pages)], **limits)
    assert refused.value.slug == slug
    assert files(blobs) == {}


async def test_a_pdf_is_stored_as_it_comes(blobs: Blobs) -> None:
    pieces = [b"%PDF-1.7\n", bytes(PIECE_BYTES), b"the end"]
    taken = await take_pdf(blobs, pieces)
    assert files(blobs) == {"source.pdf": b"".join(pieces)}
    assert (taken.kind, taken.pages) == ("pdf", 0)
    assert taken.fingerprint == hashlib.sha256(b"pdf" + b"".join(pieces)).hexdigest()


async def test_a_pdf_may_begin_a_little_late(blobs: Blobs) -> None:
    await take_pdf(blobs, [b"\n" * 1000 + b"%PDF-1.4"])
    with pytest.raises(Problem, match="begin with 0a 0a"):
        await take_pdf(blobs, [b"\n" * 1020 + b"%PDF-1.4"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", PAGES[0]])
async def test_what_is_no_pdf_is_not_stored(blobs: Blobs, content: bytes) -> None:
    with pytest.raises(Problem) as refused:
        await take_pdf(blobs, [content])
    assert refused.value.slug == "not-a-pdf"
    assert files(blobs) == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (PAGES[0], r"an image \(jpeg\), not a PDF: send page images to POST /process-large-document"),
        (b"<!doctype html>", "begin with 3c 21 64"),
    ],
)
async def test_what_was_sent_instead_of_a_pdf_is_named(blobs: Blobs, content: bytes, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        await take_pdf(blobs, [content])


async def test_a_body_that_is_too_long_is_given_up_at_the_limit() -> None:
    endless = body((bytes(1000) for _ in iter(int, 1)), limit_bytes=5000)
    with pytest.raises(Problem, match="more than the 5,000 bytes") as refused:
        await endless.piece()
    assert refused.value.slug == "body-too-large"
    assert endless.received <= 6000


async def test_small_chunks_are_gathered_into_large_pieces() -> None:
    stream = body([bytes(1000)] * 1000)
    sizes = []
    while piece := await stream.piece():
        sizes.append(len(piece))
    assert sum(sizes) == 1_000_000
    assert min(sizes[:-1]) >= PIECE_BYTES


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


async def broken() -> bytes:
    raise ConnectionResetError("Connection lost")


@pytest.mark.parametrize(("read", "slug", "status"), [(never, "body-timeout", 408), (broken, "incomplete-body", 400)])
async def test_a_body_that_stalls_or_breaks_off_is_told_so(
    read: Callable[[], Awaitable[bytes]], slug: str, status: int
) -> None:
    with pytest.raises(Problem) as refused:
        await Body(read, limit_bytes=1000, stall_s=0.05).piece()
    assert (refused.value.slug, refused.value.status) == (slug, status)


async def test_an_upload_that_is_cut_off_leaves_nothing_behind(blobs: Blobs) -> None:
    async def upload() -> None:
        async with uploads.begin(blobs) as begun:
            await begun.put("00000", PAGES[0])
            stored.set()
            await asyncio.Event().wait()

    stored = asyncio.Event()
    task = asyncio.create_task(upload())
    await stored.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(blobs) == {}


async def test_a_blob_store_that_cannot_be_written_is_told_as_such(blobs: Blobs) -> None:
    (blobs.root / "uploads").write_text("in the way")
    with pytest.raises(Problem) as refused:
        await take(blobs, [json_body(PAGES)])
    assert (refused.value.slug, refused.value.status) == ("storage-unavailable", 503)
    assert "Retry-After" in refused.value.headers


async def test_a_body_that_drips_is_given_up_and_the_time_that_we_take_ourselves_is_not_counted() -> None:
    async def drip() -> bytes:
        await asyncio.sleep(0.01)
        return b"."

    with pytest.raises(Problem, match=r"Only \d+ bytes came within") as given_up:
        await Body(drip, limit_bytes=1000, stall_s=0.1).piece()
    assert given_up.value.members["least_bytes_per_s"] == 500
    slow_reader = body([b"x" * PIECE_BYTES] * 4, stall_s=0.02)
    for _ in range(4):
        assert len(await slow_reader.piece()) == PIECE_BYTES
        await asyncio.sleep(0.03)

"""Makes pages for tests and benchmarks: page images that say who they are, and PDFs with a text layer.

Images are grey pages of printed lines, each with lines of its own and its number on top. The same arguments
give the same bytes. Measured on one core, images a second of 40 kB and of 250 kB: JPEG 3000 and 540, PNG 950 and
150, WebP 200 and 27.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from tests.standin import marks, prose
from tests.standin.marks import token as token

Kind = Literal["jpeg", "png", "webp"]
Grey = npt.NDArray[np.uint8]

_LINE = 27  # px from line to line
_WIDEST = 2400  # px
_BYTES_PER_PIXEL = {"jpeg": 0.267, "png": 0.238, "webp": 0.187}  # measured on these pages
_CHUNK = struct.Struct(">I4s")


def page_image(number: int, *, seed: int = 0, kind: Kind = "jpeg", size_kb: float = 40) -> bytes:
    """An image of page `number` of about `size_kb` kilobytes (within a tenth, from 10 kB to 1 MB).

    `token(image)` is `page-<number>-<digest>`, until somebody encodes the image anew. Another seed: another
    document.
    """
    width = round((size_kb * 1000 / _BYTES_PER_PIXEL[kind] / 1.414) ** 0.5)
    return _ENCODE[kind](_drawn(number, seed, width, round(width * 1.414)), number)


def _drawn(number: int, seed: int, width: int, height: int) -> Grey:
    source = np.random.default_rng((seed, number))
    page = np.full((height, width), 255, np.uint8)
    margin = width // 14
    lines = (height - 2 * margin) // _LINE
    chosen = source.integers(0, len(_printed()), lines)
    starts = source.integers(0, 400, lines) // 2
    for row, (line, start) in enumerate(zip(chosen.tolist(), starts.tolist(), strict=True)):
        if row == 1 or row % 9 == 8:
            continue  # a gap below the title and between paragraphs
        top = margin + row * _LINE
        strip = _number(number) if row == 0 else _printed()[line][:, start:]
        strip = strip[:, : width - 2 * margin]
        page[top : top + _LINE, margin : margin + strip.shape[1]] = strip
    return page


@cache
def _printed() -> list[Grey]:
    return [_line(prose.passage(index * 61, _WIDEST // 6)) for index in range(64)]


def _line(text: str) -> Grey:
    image = Image.new("L", (_WIDEST, _LINE), 255)
    ImageDraw.Draw(image).text((0, 2), text, font=ImageFont.load_default(18), fill=25)
    return np.asarray(image)


def _number(number: int) -> Grey:
    return np.concatenate([_digit(digit) for digit in f"{number:08}"], axis=1)


@cache
def _digit(digit: str) -> Grey:
    return _line(digit)[:, :14]


def _jpeg(page: Grey, number: int) -> bytes:
    rest: bytes = simplejpeg.encode_jpeg(page[:, :, None], quality=85, colorspace="GRAY")[2:]
    comment = marks.mark(number, rest) + b"-" * marks.GAP
    return b"\xff\xd8\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + rest


def _png(page: Grey, number: int) -> bytes:
    height, width = page.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = page
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    rest = _chunk(b"IDAT", squeeze.compress(rows.tobytes()) + squeeze.flush()) + _chunk(b"IEND", b"")
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"tEXt", b"Comment\0" + marks.mark(number, rest)) + rest


def _chunk(name: bytes, data: bytes) -> bytes:
    return _CHUNK.pack(len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))


def _webp(page: Grey, number: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(page).save(out, "WEBP", quality=80, method=0)
    rest = out.getvalue()[12:]
    height, width = page.shape
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    said = marks.mark(number, rest) + b"-" * marks.GAP
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas  # only an extended file may hold foreign chunks
    body: bytes = b"WEBP" + extended + b"PAGE" + struct.pack("<I", len(said)) + said + rest
    return b"RIFF" + struct.pack("<I", len(body)) + body


_ENCODE = {"jpeg": _jpeg, "png": _png, "webp": _webp}


def said(number: int, *, of: int) -> str:
    """The sentence that page `number` of `pdf(of)` has and no other."""
    return f"This is page {prose.in_words(number)} of {prose.in_words(of)}."


def pdf(pages: int, *, seed: int = 0, blank: frozenset[int] | set[int] = frozenset()) -> bytes:
    """A PDF of A4 pages, each with a heading, `said(number, of=pages)` and twenty sentences; `blank` ones empty.

    Text only, in Helvetica, about 0.8 kB a page. Every ten pages begin a chapter.
    """
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for number in range(1, pages + 1):
        objects.append(_stream(b"" if number in blank else _text(number, pages, seed)))
        kids.append(b"%d 0 R" % (len(objects) + 1))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % len(objects)
        )
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, b" ".join(kids))
    return _written(objects)


def _stream(content: bytes) -> bytes:
    packed = zlib.compress(content, 1)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)


def _text(number: int, pages: int, seed: int) -> bytes:
    chapter = f"Chapter {(number + 9) // 10}"
    lines = prose.passage(seed * 9176 + number * 31, 20 * 56).replace(". ", ".\n").split("\n")
    body = "".join(f"({line}) Tj T*\n" for line in (said(number, of=pages), "", *lines))
    return f"BT /F1 18 Tf 24 TL 60 770 Td ({chapter}) Tj T* /F1 11 Tf 16 TL\n{body}ET".encode("ascii")


def _written(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for index, item in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (index, item)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)

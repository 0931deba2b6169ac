"""Files that nobody should send and somebody will, each made as small as it can be."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

from tests import pages

A4 = b"/MediaBox [0 0 595 842]"
ENCRYPTED = b"/Root 1 0 R /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>"


def stream(content: bytes, extra: bytes = b"") -> bytes:
    """A PDF stream object. `extra`: more of its dictionary."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), extra, content)


def pdf(*contents: bytes, resources: bytes = b"", more: tuple[bytes, ...] = ()) -> bytes:
    """A PDF with a page for each content stream; `more` are objects from number 3 on. It has no table of objects."""
    first = 3 + len(more)
    kids = b" ".join(b"%d 0 R" % (first + 2 * place + 1) for place in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(contents), kids),
        *more,
    ]
    for content in contents:
        objects.append(content)
        page = b"<< /Type /Page /Parent 2 0 R %s /Contents %d 0 R /Resources << %s >> >>"
        objects.append(page % (A4, len(objects), resources))
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, item) for number, item in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer\n<< /Size 99 /Root 1 0 R >>\n%%EOF\n"


def encrypted() -> bytes:
    return pages.pdf(1).replace(b"/Root 1 0 R", ENCRYPTED % (b"11" * 32, b"22" * 32))


def damaged_in_the_middle() -> bytes:
    """Three pages, the second of which is named and not there."""
    return re.sub(rb"(/Kids \[\d+ 0 R) \d", rb"\1 0", pages.pdf(3))


def of_size(box: bytes) -> bytes:
    """One page of text on paper of this size, in points."""
    return pages.pdf(1).replace(A4, b"/MediaBox [%s]" % box)


def picture(side: int) -> bytes:
    """A page that is one picture of `side` × `side` pixels, which are not there."""
    head = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceRGB" % (
        side,
        side,
    )
    return pdf(
        stream(b"q 595 0 0 842 0 0 cm /I Do Q"),
        resources=b"/XObject << /I 3 0 R >>",
        more=(stream(bytes(1000), head),),
    )


def gigabytes_of_nothing() -> bytes:
    """A few kB that unpack to a page of a gigabyte of spaces, and a plain page behind it."""
    squeeze = zlib.compressobj(9)
    first, *_, block = (squeeze.compress(b" " * (1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH) for _ in range(3))
    packed = zlib.compress(first + block * 1023 + squeeze.flush(), 9)  # its checksum is wrong, which nobody minds
    content = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(packed), packed)
    return pdf(content, stream(b"60 60 200 200 re f"))


def slow() -> bytes:
    """A page whose every pixel is calculated, at length, and a plain one behind it."""
    program = b"{ pop " + b"dup mul 1 add sin " * 4000 + b"}"
    shading = (
        b"<< /ShadingType 1 /ColorSpace /DeviceGray /Domain [0 1 0 1] /Matrix [595 0 0 842 0 0] /Function 4 0 R >>"
    )
    function = stream(program, b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]")
    contents = (stream(b"/S sh"), stream(b"60 60 200 200 re f"))
    return pdf(*contents, resources=b"/Shading << /S 3 0 R >>", more=(shading, function))


def without_end() -> bytes:
    """A form that draws itself three times, and so on."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /F 3 0 R >> >>"
    return pdf(stream(b"/F Do"), resources=b"/XObject << /F 3 0 R >>", more=(stream(b"/F Do /F Do /F Do", form),))


def image(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """A picture of a black bar on white, 300 × 400, in any mode of Pillow's."""
    page = Image.new("L", (300, 400), 255)
    page.paste(0, (40, 100, 260, 130))
    return encoded(page.convert(mode) if mode != "I;16" else deep(page), kind, **options)


def deep(page: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(page).astype(np.uint16) * 257)


def transparent(kind: str) -> bytes:
    """Black print on nothing: what models see as black on black."""
    page = Image.new("RGBA", (300, 400), (0, 0, 0, 0))
    page.paste((0, 0, 0, 255), (40, 100, 260, 130))
    return encoded(page, kind)


def lying() -> bytes:
    """A photo that says: turn me."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return image("JPEG", exif=exif)


def bomb(side: int = 50_000) -> bytes:
    """A PNG of a few bytes that says to have `side` × `side` pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def encoded(page: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    page.save(out, kind, **options)
    return out.getvalue()

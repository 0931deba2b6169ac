"""Takes a document in: parses and checks the body as it arrives, and stores it. Memory does not grow with the body."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from services.gateway import parsing
from services.gateway.body import Body
from services.gateway.problems import Problem
from services.gateway.uploads import Upload

PDF_NAME = "source.pdf"
_THREAD_BYTES = (
    1_000_000  # larger images are decoded and hashed off the event loop: they would hold it for milliseconds
)
_PDF_HEAD_BYTES = 1024  # where readers look for "%PDF-" (PDF 1.7, Adobe's implementation note 13)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A document that lies in the blob store. `fingerprint`: SHA-256 over its kind and content."""

    kind: str
    fingerprint: str
    pages: int
    """0: not counted yet."""
    job_id: str | None = None
    user_id: str | None = None


async def images(body: Body, upload: Upload, *, max_image_bytes: int, max_pages: int) -> Taken:
    """The JSON body of POST /process-large-document: each image is stored as soon as it is complete. Raises Problem."""
    parser = parsing.Submission(max_image_bytes=max_image_bytes)
    digest = hashlib.sha256(b"images")
    count = 0
    while piece := await body.piece():
        for entry in parser.feed(piece):
            count += 1
            if count > max_pages:
                raise Problem(
                    "too-many-pages",
                    f"The document has more than the {max_pages:,} pages that are taken: send it in parts.",
                    limit_pages=max_pages,
                )
            data = await _decoded(entry, count, max_image_bytes, digest)
            await upload.put(f"{count - 1:05}", data)
    parser.close()
    return Taken(
        kind="images",
        fingerprint=digest.hexdigest(),
        pages=count,
        job_id=parser.job_id,
        user_id=parser.user_id,
    )


async def pdf(body: Body, upload: Upload) -> Taken:
    """A PDF, streamed into the blob store. Raises Problem."""
    digest = hashlib.sha256(b"pdf")
    piece = await body.piece()
    if b"%PDF-" not in piece[:_PDF_HEAD_BYTES]:
        raise Problem("not-a-pdf", _instead_of_pdf(piece))
    async with upload.writer(PDF_NAME) as out:
        while piece:
            digest.update(piece)
            await out.write(piece)
            piece = await body.piece()
    return Taken(kind="pdf", fingerprint=digest.hexdigest(), pages=0)


def _instead_of_pdf(head: bytes) -> str:
    if not head:
        return "The file is empty: send a PDF file."
    if kind := parsing.image_type(head):
        return f"The file is an image ({kind}), not a PDF: send page images to POST /process-large-document."
    begin = head[:8].hex(" ")
    return f"There is no %PDF- in the first {_PDF_HEAD_BYTES:,} bytes, which begin with {begin}: send a PDF file."


async def _decoded(entry: str, number: int, max_bytes: int, digest: hashlib._Hash) -> bytes:
    def work() -> bytes:
        data = parsing.decode(entry, number)
        parsing.check_image(data, number, max_bytes=max_bytes)
        digest.update(len(data).to_bytes(8))  # so that no two lists of images read alike
        digest.update(data)
        return data

    return await asyncio.to_thread(work) if len(entry) > _THREAD_BYTES else work()

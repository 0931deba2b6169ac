"""POST /documents: options in the query, and the multipart form with the field `file`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from aiohttp import BodyPartReader, MultipartReader, web

from services.gateway import body, ingest, options
from services.gateway.body import Body
from services.gateway.ingest import Taken
from services.gateway.problems import Problem
from services.gateway.uploads import Upload

OPTION_BYTES = 10_000
"""The longest option in a form."""


def in_query(query: Mapping[str, str]) -> dict[str, str]:
    """The options of a query. Raises Problem for one that is not known."""
    for name in query:
        options.check_name(name)
    return dict(query)


async def receive(
    request: web.Request, upload: Upload, *, limit_bytes: int, stall_s: float
) -> tuple[Taken, dict[str, str]]:
    """Store the form's file; answers it and the options beside it, which may come before or after. Raises Problem."""
    body.check_length(request, limit_bytes=limit_bytes)
    taken: Taken | None = None
    fields: dict[str, str] = {}
    try:
        reader = await request.multipart()
        while (part := await _next(reader, stall_s)) is not None:
            name = part.name or ""
            if name == "file":
                if taken is not None:
                    raise Problem("bad-form", "The form holds two fields named file: send one document a request.")
                taken = await ingest.pdf(Body(partial(_read, part), limit_bytes=limit_bytes, stall_s=stall_s), upload)
            else:
                options.check_name(name)
                if name in fields:
                    raise Problem("bad-form", f"The form holds two fields named {name}: send it once.")
                fields[name] = await _text(part, name, stall_s)
    except ValueError as error:
        raise Problem("bad-form", f"The form cannot be read: {error}.") from error
    if taken is None:
        raise Problem("bad-form", "The form has no field named file: send the PDF in it.")
    return taken, fields


async def _next(reader: MultipartReader, stall_s: float) -> BodyPartReader | None:
    async with body.arriving(stall_s, 0):
        part = await reader.next()
    if isinstance(part, MultipartReader):
        raise Problem("bad-form", "The form holds another form: send the PDF as the field file.")
    return part


async def _read(part: BodyPartReader) -> bytes:
    """Some bytes of the part, b"" at its end (a chunk may be empty before)."""
    while not part.at_eof():
        if chunk := await part.read_chunk(body.PIECE_BYTES):
            return bytes(chunk)
    return b""


async def _text(part: BodyPartReader, name: str, stall_s: float) -> str:
    value = b""
    async with body.arriving(stall_s, 0):  # all of it: an option is no document
        while len(value) <= OPTION_BYTES:
            chunk = await _read(part)
            if not chunk:
                return value.decode()  # a UnicodeDecodeError is a ValueError: told as such
            value += chunk
    raise Problem("invalid-field", f"{name} has more than {OPTION_BYTES:,} bytes.", limit_bytes=OPTION_BYTES)

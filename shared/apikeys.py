"""API keys: who may ask, for which tenant, and how much. They live in one JSON file, which a person may edit.

A token is 32 random bytes, shown once when it is made; the file holds its SHA-256. A plain hash is enough for it: slow,
salted hashes protect what people think up, and nobody guesses 256 random bits, whoever has the file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

PREFIX = "quire_"
"""What a token begins with, so that people and scanners for leaked secrets recognise it."""
_TOKEN_BYTES = 32

Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,62}\Z")]
"""Of keys and tenants: it goes into Redis keys and into the paths of blobs, so it holds no separator of either."""
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much a key may ask; None: no limit of its own. An unknown field is refused: it would not be kept."""

    requests_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Requests a second, on the average."""
    burst: Count | None = None
    """Requests that may come at once. None: two seconds' worth."""
    active_jobs: Count | None = None
    """Jobs that have not ended."""
    pages_per_day: Count | None = None
    """Pages of the documents that are accepted in a day (UTC)."""
    pages_per_document: Count | None = None
    body_bytes: Count | None = None
    """The longest body of one request."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key. Names are unique in the file."""

    name: Name
    tenant: Name
    sha256: Digest
    """Of the whole token, in hexadecimal."""
    created: datetime
    limits: Limits = Limits()


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's content."""

    keys: list[ApiKey] = []


class KeyFileError(Exception):
    """The file can't be read, or does not hold what it should. The message is a sentence."""


def make(name: str, tenant: str, limits: Limits) -> tuple[ApiKey, str]:
    """A new key and its token, which nobody can find out later. Raises KeyFileError for a name that can't be one."""
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    made = ApiKey(
        name=name, tenant=tenant, sha256=digest(token), created=datetime.now(UTC).replace(microsecond=0), limits=limits
    )
    try:
        return msgspec.convert(msgspec.to_builtins(made), ApiKey), token
    except msgspec.ValidationError as error:
        wrong = "tenant" if "$.tenant" in str(error) else "name"
        given = tenant if wrong == "tenant" else name
        raise KeyFileError(
            f"{given!r} can't be the {wrong} of a key: use 1 to 63 of a-z, 0-9, - and _, a letter or digit first"
        ) from error


def digest(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def parse(content: bytes) -> KeyFile:
    """Raises KeyFileError."""
    try:
        found = msgspec.json.decode(content, type=KeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"it does not hold API keys: {error}") from error
    names = [key.name for key in found.keys]
    for name in names:
        if names.count(name) > 1:
            raise KeyFileError(f"it holds {names.count(name)} keys named {name!r}: give each a name of its own")
    return found


def read(path: Path) -> KeyFile:
    """Raises KeyFileError, also where there is no such file."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"it can't be read: {error.strerror}") from error


@contextmanager
def changing(path: Path) -> Iterator[list[ApiKey]]:
    """The keys of the file (none where there is no file yet); what the block makes of the list is written, whole.

    The new file takes the place of the old one in one step, readable by its owner alone. Raises KeyFileError.
    """
    keys = list(read(path).keys) if path.exists() else []
    yield keys
    content = msgspec.json.format(msgspec.json.encode(KeyFile(keys=keys)), indent=2) + b"\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # its mode is 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KeyFileError(f"it can't be written: {error.strerror}") from error

"""`./quire keys add | list | revoke`: who may ask the gateway, written into API_KEYS_FILE."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.table import Table

from cli import outcome
from cli.errors import CommandError
from shared import apikeys
from shared.apikeys import KeyFileError, Limits

SOON = "a running gateway knows within a second"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What `keys add --json` prints. `token`: shown here and never again."""

    name: str
    tenant: str
    token: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One key of `keys list --json`."""

    name: str
    tenant: str
    created: str
    limits: Limits


async def add(name: str, *, tenant: str | None, limits: Limits, file: Path | None, as_json: bool) -> int:
    """Make a key and print its token, once. `tenant` None: one of the key's own name."""
    with _told(file) as path:
        key, token = apikeys.make(name, tenant or name, limits)
        with apikeys.changing(path) as keys:
            if any(known.name == name for known in keys):
                raise CommandError(f"{path} has a key named {name!r}: revoke that one, or choose another name", code=1)
            keys.append(key)
    if as_json:
        print(msgspec.json.encode(Added(name=name, tenant=key.tenant, token=token)).decode())
        return 0
    print(token)
    told = f"the key {name!r} of the tenant {key.tenant!r}, shown this once: {path} holds its hash alone; {SOON}"
    print(f"quire: {told}", file=sys.stderr)
    return 0


async def list_all(*, file: Path | None, as_json: bool) -> int:
    """Print all keys; no token, for nobody has them."""
    with _told(file) as path:
        keys = apikeys.read(path).keys
    if as_json:
        listed = [
            Listed(name=key.name, tenant=key.tenant, created=key.created.isoformat(), limits=key.limits) for key in keys
        ]
        print(msgspec.json.encode({"keys": listed}).decode())
        return 0
    table = Table("name", "tenant", "created", "limits", box=None)
    for key in keys:
        table.add_row(key.name, key.tenant, f"{key.created:%Y-%m-%d}", _in_words(key.limits))
    outcome.console().print(table)
    return 0


async def revoke(name: str, *, file: Path | None, as_json: bool) -> int:
    """Take a key away; what it has submitted goes on."""
    with _told(file) as path, apikeys.changing(path) as keys:
        kept = [key for key in keys if key.name != name]
        if len(kept) == len(keys):
            raise CommandError(f"{path} has no key named {name!r}: see `./quire keys list`", code=1)
        keys[:] = kept
    print(msgspec.json.encode({"revoked": name}).decode() if as_json else f"revoked {name}; {SOON}")
    return 0


def limits(given: argparse.Namespace) -> Limits:
    """The limits on the command line. Raises CommandError for one that can't be kept."""
    named = {field.name: getattr(given, field.name) for field in msgspec.structs.fields(Limits)}
    try:
        return msgspec.convert({name: value for name, value in named.items() if value is not None}, Limits)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$.")
        raise CommandError(f"--{path.rstrip('`').replace('_', '-')}: {sentence[0].lower()}{sentence[1:]}") from error


@contextmanager
def _told(given: Path | None) -> Iterator[Path]:
    """The file: as given, or API_KEYS_FILE. What is wrong with it inside is told as a CommandError."""
    path = given or (Path(os.environ["API_KEYS_FILE"]) if os.environ.get("API_KEYS_FILE") else None)
    if path is None:
        raise CommandError(
            "API_KEYS_FILE is not set: set it to the file that the gateway reads, or give it with --file, "
            "for example --file data/api-keys.json"
        )
    path = path.expanduser().absolute()
    try:
        yield path
    except KeyFileError as error:
        raise CommandError(f"{path}: {error}", code=1) from error


def _in_words(limits: Limits) -> str:
    given: dict[str, object] = msgspec.to_builtins(limits)
    return ", ".join(f"{name} {value:,}" for name, value in given.items()) or "none of its own"

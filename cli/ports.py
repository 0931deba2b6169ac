"""Free TCP ports of this machine."""

from __future__ import annotations

import random
import socket

from cli.errors import CommandError

_RANGE = range(18_000, 30_000)  # below what systems hand out for outgoing connections: nobody gets it in between


def is_free(host: str, port: int) -> bool:
    """Whether a server could be bound to this port now, as servers do it (SO_REUSEADDR)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # only listening tells of a server that is bound with SO_REUSEADDR itself
        except OSError:
            return False
    return True


def choose(count: int, *, host: str = "127.0.0.1") -> list[int]:
    """That many different ports that are free now. Raises CommandError when there are not enough."""
    found: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            break
        if is_free(host, port):
            found.append(port)
    if len(found) < count:
        raise CommandError(
            f"only {len(found)} of {count} ports between {_RANGE[0]} and {_RANGE[-1]} are free on {host}"
        )
    return found

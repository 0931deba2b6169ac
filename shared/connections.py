"""Connections to the Redis-protocol server that tell of their end as redis-py promises: by its own errors.

uvloop answers a write to a transport that a reset has just closed with RuntimeError, which redis-py 8.1 hands on as it
is. Nobody who talks to Redis expects that, and whole processes ended by it.
"""

from __future__ import annotations

from collections.abc import Iterable

from redis.asyncio import BlockingConnectionPool, ConnectionPool
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError


class _Told(AbstractConnection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health=check_health)
        except RuntimeError as error:  # by now redis-py has given the connection up
            raise RedisConnectionError(f"The connection was closed: {error}") from error


class _Plain(_Told, Connection):
    """Over TCP."""


class _Tls(_Told, SSLConnection):
    """Over TCP with TLS."""


class _Unix(_Told, UnixDomainSocketConnection):
    """Through a Unix domain socket."""


_OURS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _Plain,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


def telling(pool: ConnectionPool | BlockingConnectionPool) -> None:
    """Let this pool make connections of our kind: the same, whatever its URL chose."""
    pool.connection_class = _OURS[pool.connection_class]

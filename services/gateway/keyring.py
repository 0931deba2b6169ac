"""The API keys that this gateway knows: read again when their file changes, and found by their token."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from pathlib import Path

import msgspec

from shared import apikeys
from shared.apikeys import ApiKey, KeyFileError, Limits
from shared.settings import SettingsError

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the file is looked at, at most: so long a revoked key may still be taken."""
LOCAL = "local"
"""Whose jobs they are where nobody is asked for a key."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `key`: the key's name, empty where nobody is asked for one."""

    tenant: str
    key: str = ""
    limits: Limits = Limits()


ANYBODY = Identity(tenant=LOCAL)


class Keyring:
    """The keys of a file; with no file, nobody is asked for a key.

    A file that breaks or vanishes while the gateway runs changes nothing: the last good one holds. It is told in the
    log, and in `ailments`.
    """

    def __init__(self, file: str) -> None:
        """Raises SettingsError where the file can't be used."""
        self._path = Path(file).expanduser() if file else None
        self._keys: dict[str, ApiKey] = {}
        self._seen: tuple[int, ...] | None = None
        self._looked_at = time.monotonic()
        self._ailment = ""
        if self._path is not None:
            self._seen = _state(self._path)
            try:
                self._take(apikeys.read(self._path).keys)
            except KeyFileError as error:
                raise SettingsError(
                    f"API_KEYS_FILE: {self._path}: {error}; make a key with `./quire keys add NAME`"
                ) from error

    @property
    def closed(self) -> bool:
        """Whether a key is asked for."""
        return self._path is not None

    async def identify(self, token: str | None) -> Identity | None:
        """Who has this token; None: nobody."""
        if self._path is None:
            return ANYBODY
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now  # the others go on with what is known: one look is enough
            await asyncio.to_thread(self._look, self._path)
        return self._owner(token) if token is not None else None

    def ailments(self) -> list[str]:
        """A sentence while the file can't be used."""
        return [self._ailment] if self._ailment else []

    def _owner(self, token: str) -> Identity | None:
        # A dict tells by its time at most how much of a *digest* is right. To steer a digest one would have to invert
        # SHA-256, so that tells nothing of a token; what was found is compared in constant time all the same.
        digest = apikeys.digest(token)
        key = self._keys.get(digest)
        if key is None or not hmac.compare_digest(key.sha256, digest):
            return None
        return Identity(tenant=key.tenant, key=key.name, limits=key.limits)

    def _look(self, path: Path) -> None:
        state = _state(path)
        if state == self._seen:
            return
        self._seen = state
        try:
            found = apikeys.read(path).keys
        except KeyFileError as error:
            self._ailment = f"API_KEYS_FILE: {path}: {error}. The {len(self._keys)} keys that were read before hold."
            log.error(self._ailment, extra={"action": "keys_broken"})  # noqa: TRY400 - a sentence is enough
            return
        self._ailment = ""
        self._take(found)

    def _take(self, keys: list[ApiKey]) -> None:
        self._keys = {key.sha256: key for key in keys}
        log.info("API keys read", extra={"action": "keys_read", "keys": len(keys)})


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

"""What the gateway's environment can set, and who may reach it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from shared.settings import Settings, SettingsError

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class GatewaySettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What the gateway needs on top."""

    port: int = 8080
    """The API's port."""
    batch_size: Count = 25
    """Pages that are summarised together."""
    large_document_pages: Count = 50
    """Documents above this are cut into batches; up to it, a document is one batch."""
    max_body_bytes: Count = 2_000_000_000
    """The longest body of one request. It goes to the blob store as it arrives, so this guards the disk, not memory."""
    max_image_bytes: Count = 20_000_000
    """The largest page image, decoded. An image is held in memory whole, a few times over while it is decoded."""
    max_pages: Count = 20_000
    """The most page images of one document."""
    body_timeout_s: Seconds = 60
    """A body that brings nothing for so long is given up (408), and one that brings next to nothing."""
    connection_timeout_s: Seconds = 75
    """A connection that brings no complete request head for so long is closed, be it idle or dripping."""
    max_backlog_pages: Count = 1_000_000
    """While so many pages wait to be read, new documents are refused: 503."""
    api_keys_file: str = ""
    """The file of those who may ask, as `./quire keys` writes it; unset: nobody is asked for a key."""
    allow_open_access: bool = False
    """Let the gateway listen beyond this machine though it asks nobody for a key."""
    cors_origins: str = ""
    """Origins whose web pages may use the API, separated by commas; `*`: all."""
    page_model: str = ""
    """The model that reads pages, whose limits are told in /batch-stats and /health; unset: they aren't told."""
    summary_model: str = ""
    """The model that summarises, likewise."""

    @property
    def models(self) -> list[str]:
        """The models whose limits are told, each once."""
        return [model for model in dict.fromkeys((self.page_model, self.summary_model)) if model]


def check_access(values: GatewaySettings) -> None:
    """Without API keys only this machine may ask. Raises SettingsError for an address that others can reach."""
    if values.api_keys_file or values.allow_open_access or is_loopback(values.host):
        return
    raise SettingsError(
        f"HOST: {values.host!r} can be reached from other machines, and this gateway asks nobody for a key; "
        "set HOST=127.0.0.1, or API_KEYS_FILE (see `./quire keys add --help`), "
        "or ALLOW_OPEN_ACCESS=1 where something in front of it lets only the right people through"
    )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Settings: one frozen struct a service, read once from the environment, complaining by variable name.

A field `page_concurrency` is the variable PAGE_CONCURRENCY. The service's own struct adds its fields to `Settings`.
Secrets are not here: the `openai` package reads OPENAI_API_KEY itself, so that no repr or log can show it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What every service needs."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    """The Redis-protocol server. `./quire up` starts an embedded one where this is unset."""
    blob_url: str = "file://data/blobs"
    """Where documents, page images and results lie: `file://` and a path, absolute or from the working folder."""
    port: int = 0
    """HTTP port of this process (/livez, /readyz, /metrics; the gateway's API). 0: a free one."""
    host: str = "127.0.0.1"
    """Address that the port is bound to."""
    grace_s: float = 150
    """How long a drain may take after SIGTERM before work in hand is given back. Above the longest model call."""
    lease_s: float = 30
    """A worker's hold on an entry without renewal; renewed about four times in that span."""
    max_attempts: int = 5
    """Failed calls for a page or a summary before it is given up; 429s and outages do not count."""
    max_tasks_per_worker: int = 0
    """After so many entries a worker drains and exits, for its supervisor to start it afresh. 0: never."""
    log_level: str = "INFO"
    log_format: str = "json"
    """json, or text for people."""


class ModelSettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What services that call the model need on top. OPENAI_BASE_URL and OPENAI_API_KEY are read by `openai` itself."""

    llm_rpm: int = 0
    """Requests a minute of the whole fleet. 0: learnt from the server's x-ratelimit headers, else without limit."""
    llm_tpm: int = 0
    """Tokens a minute of the whole fleet. 0: learnt likewise."""
    llm_timeout_s: float = 120
    """One model call, from the request to its last byte."""
    prices_file: str = ""
    """JSON file of prices by model, in USD per million tokens; replaces shared/ai/prices.json."""


class AskingSettings(ModelSettings, frozen=True, kw_only=True, rename="upper"):
    """What services need on top whose questions to the model are paid for once."""

    cache_ttl_s: Annotated[int, Meta(ge=0)] = 2_592_000
    """How long the same page or summary of the same user is not paid for again: 30 days. 0: no time at all."""


class SettingsError(Exception):
    """A variable does not hold what it should. The message names it."""


Kind = TypeVar("Kind", bound=Settings)


def load(kind: type[Kind], environ: Mapping[str, str] | None = None) -> Kind:
    """Read the settings from the environment; a variable that is set but empty counts as unset.

    Raises SettingsError, for example: PAGE_CONCURRENCY: expected `int`, got 'many'.
    """
    source = {name: value for name, value in (os.environ if environ is None else environ).items() if value != ""}
    try:
        return msgspec.convert(source, kind, strict=False)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$.")
        variable = path.rstrip("`")
        expected = sentence.partition(", got")[0].lower()
        raise SettingsError(f"{variable}: {expected}, got {source.get(variable)!r}") from error

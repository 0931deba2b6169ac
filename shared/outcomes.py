"""What a handler returns: the outcome of its fact, which the ledger records in one script.

A handler publishes nothing and acks nothing. Each outcome names the script that records it (see `shared/ledger.py`).
"""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one or more model calls used. Tokens as the server counted them; `cost_usd` None: the price is unknown."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost_usd is None or other.cost_usd is None
        return Usage(
            calls=self.calls + other.calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            cost_usd=None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0),
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all outcomes."""


class Noted(Outcome, frozen=True, kw_only=True):
    """Nothing is to be done for this fact: ack it."""


class Planned(Outcome, frozen=True, kw_only=True):
    """The document's pages are known. `pages`: how many are asked for."""

    pages: int


class RenderedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page that is ready to be read (`image` set), is `blank`, or could not be rendered (`failed` says why)."""

    ordinal: int
    page: int
    image: str = ""
    text: str = ""
    blank: bool = False
    failed: str = ""


class Rendered(Outcome, frozen=True, kw_only=True):
    """Some pages of a batch are ready; `last` on the batch's last report, which acks."""

    pages: list[RenderedPage]
    last: bool


class PageRead(Outcome, frozen=True, kw_only=True):
    """A page was read; its analysis lies in `blob`. `cached`: for another page or document, or the same one before."""

    blob: str
    usage: Usage
    cached: bool = False


class BatchDone(Outcome, frozen=True, kw_only=True):
    """A batch was summarised into `blob`; or, with `failed`, has no summary (a batch of gaps)."""

    blob: str = ""
    failed: str = ""
    usage: Usage = Usage()


class DocumentDone(Outcome, frozen=True, kw_only=True):
    """The document was summarised into `blob`; or, with `failed`, it has no summary."""

    blob: str = ""
    failed: str = ""
    usage: Usage = Usage()


class Speaking(Outcome, frozen=True, kw_only=True):
    """The narration has begun; does not ack."""


class Narrated(Outcome, frozen=True, kw_only=True):
    """The summary was spoken: an MP3 and its timeline (a `results.Timeline` as JSON)."""

    audio: str
    timeline: str
    usage: Usage = Usage()

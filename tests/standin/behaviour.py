"""How the stand-in behaves, as plain data: in Python, and as JSON for `POST /control` and `--behaviour`."""

from __future__ import annotations

from typing import Literal

import msgspec

Does = Literal[
    "answer",  # as asked
    "wrong_pages",  # summaries cite pages that don't exist
    "error",  # `status`, with the body that OpenAI sends for it
    "refuse_schema",  # 400 that names response_format, to calls with a JSON schema only
    "refuse_format",  # the same to calls with any response_format
    "refuse_temperature",  # 400 that names it, to calls that set one, as models that reason do
    "hang",  # never, until the client goes
    "reset",  # TCP reset before the first byte
    "cut",  # connection closed in the middle of the body
    "dribble",  # headers at once, the body over `body_s`
    "html",  # 200 with a proxy's page
    "not_json",  # 200 whose body is broken JSON
    "content_not_json",  # the model chats
    "wrong_shape",  # JSON, but of another schema
    "truncated",  # finish_reason length, the JSON cut off
    "repeats",  # right shape, but one sentence over and over
    "no_content",  # finish_reason stop, content null
    "content_filter",  # finish_reason content_filter, content null
    "refusal",  # `message.refusal`, as models that keep to a schema refuse
    "empty_choices",
]

Range = float | tuple[float, float]
"""Seconds: always the same, or (from, to), each as likely."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to the calls that meet all its conditions; the first rule that takes a call decides."""

    does: Does = "answer"
    latency_s: Range | None = None
    """Before the answer begins; None: the behaviour's."""
    status: int = 500
    code: str = ""
    """Of an error, such as insufficient_quota; empty: what is usual for the status."""
    retry_after_s: float | None = None
    """Of an error; None: no Retry-After header."""
    headers: dict[str, str] = {}
    """Further headers of an error, such as x-ratelimit-remaining-requests."""
    body_s: float = 10

    schema: str = ""
    """Only calls for this schema: page_analysis, batch_summary, document_summary. `speech`: only calls for speech,
    to which no other rule is put; of `does`, they know answer, error, hang, reset, cut, dribble, html, no_content."""
    token: str = ""
    """Only calls whose image token begins so: `page-7-`, or a whole token. Of speech: whose text begins so."""
    page: int = 0
    """Only calls that show or name this page."""
    every: int = 1
    """Only every n-th of the calls that meet the conditions above."""
    probability: float = 1
    """Only this share of them, at random (the behaviour's seed)."""
    times: int = 0
    """Only the next n calls that it could take; 0: without end."""
    times_each: int = 0
    """Only the first n calls for the same image (or, without one, for the same pages); 0: without end."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about how it answers. The default is a model that is fast, tireless and right."""

    latency_s: Range = 0
    rules: list[Rule] = []
    rpm: int = 0
    """Requests a minute, enforced: 429 above it, and x-ratelimit headers on every answer. 0: no limit."""
    tpm: int = 0
    """Tokens a minute, likewise. A call's tokens are counted when it comes, those of its answer included."""
    burst_s: float = 1
    """What the limits' buckets hold, in seconds of refill. OpenAI too may enforce its limits by the second."""
    silent: bool = False
    """Nothing under /v1 is answered at all."""
    answer_chars: int = 600
    """Length of a page's text."""
    image_tokens: int = 1000
    """What an image counts for in prompt_tokens."""
    keep_prompts: bool = False
    """Whether the log of calls has their texts."""
    seed: int = 0
    """Of everything random here."""

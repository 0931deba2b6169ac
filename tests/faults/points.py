"""Points by name at which a service can be made to fail: which function of the product, before or after it.

The product has no hooks: the launcher wraps these functions in the process that it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tests.standin import marks

Told = Callable[..., str]
"""Says what is in hand, from the call's arguments and, after it, its result; "" where the point is not met by it."""


class Point(msgspec.Struct, frozen=True):
    """`where`: `module:attribute` or `module:Class.method`, an async function."""

    where: str
    when: Literal["before", "after"]
    told: Told


RECORDED = frozenset(
    {
        "plan",
        "pages_rendered",
        "page_analyzed",
        "noted",
        "batch_summarized",
        "doc_summarized",
        "doc_speaking",
        "doc_narrated",
    }
)
"""Scripts that record the outcome of a stage."""


def _asked(_server: object, path: str, body: bytes, **_: object) -> str:
    return f"{path} {body.decode(errors='replace')}"


def _key(_blobs: object, key: str, _data: bytes, **_: object) -> str:
    return key


def _script(_ledger: object, name: str, _ref: str, /, **arguments: Any) -> str:
    if name == "pages_rendered":
        name = f"{name}_{'last' if arguments['last'] else 'more'}"
    elif name not in RECORDED:
        return ""
    return f"{name} {arguments['unit']}"


def _submit(_ledger: object, name: str, _ref: str, /, **_: object) -> str:
    return name if name == "submit" else ""


def _renewed(_ledger: object, fact: Any, _ids: list[str], **_: object) -> str:
    return str(fact.stream)


def _given_back(_ledger: object, entry: Any, **_: object) -> str:
    return str(entry.fact.unit)


def _draining(consumer: Any, **_: object) -> str:
    return f"{consumer.stage.fact.stream} {consumer.busy}" if consumer.busy else ""


def _read(_intake: object, *_: object, result: list[Any], **__: object) -> str:
    return " ".join(entry.fact.unit for entry, _permit in result)


def _entries(_redis: object, *_: object, result: Any, **__: object) -> str:
    return str(result) if result else ""


def _round(_ledger: object, **_: object) -> str:
    return "release"


def _claimed(_cache: object, _question: object, unit: str, *, result: object) -> str:
    return f"{'claimed' if result is None else 'found'} {unit}"


def _kept(_cache: object, _question: object, kept: Any, **_: object) -> str:
    return str(kept.unit)


def _image(_fact: object, image: bytes, *_: object, **__: object) -> str:
    return marks.token(image)


def _last(fact: Any, **_: object) -> str:
    return f"{fact.stream} {fact.unit}" if fact.last else ""


POINTS: dict[str, Point] = {
    "mid_read": Point("redis.asyncio:Redis.xreadgroup", "after", _entries),
    "after_read": Point("shared.intake:Intake.read", "after", _read),
    "image_in_hand": Point("services.page_worker.vision:read", "before", _image),
    "after_claim": Point("shared.cache:Cache._found", "after", _claimed),
    "before_call": Point("shared.ai.calls:post", "before", _asked),
    "after_call": Point("shared.ai.calls:post", "after", _asked),
    "after_blob": Point("shared.blobs:Blobs.put", "after", _key),
    "after_keep": Point("shared.cache:Cache._keep", "after", _kept),
    "before_record": Point("shared.ledger:Ledger._call", "before", _script),
    "after_record": Point("shared.ledger:Ledger._call", "after", _script),
    "before_submit": Point("shared.ledger:Ledger._call", "before", _submit),
    "after_submit": Point("shared.ledger:Ledger._call", "after", _submit),
    "mid_renewal": Point("shared.ledger:Ledger.renew", "after", _renewed),
    "mid_round": Point("shared.ledger:Ledger.release", "after", _round),
    "mid_drain": Point("shared.consumer:Consumer._drain", "before", _draining),
    "after_give_back": Point("shared.ledger:Ledger.give_back", "after", _given_back),
    "before_batch_summary": Point("services.aggregator.handler:summarize_batch", "before", _last),
    "before_summary": Point("services.aggregator.handler:summarize_document", "before", _last),
}
"""`after_record` is where a reply is lost: the script has run, and nobody knows. Likewise `mid_read`: the entries are
this worker's, and it never gets them. `after_blob` is before its fact; by `after_keep` the cache knows the answer."""

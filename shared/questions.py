"""A question to the model, named by all that its answer depends on: the same question is paid for once. Pure.

Handlers see these types; what stands behind them is `shared/cache.py`.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import msgspec

from shared.ai import schema
from shared.events import Fact
from shared.outcomes import Usage
from shared.records import Job

T = TypeVar("T", bound=msgspec.Struct)


class Question(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What the model is asked. `answer`: the kind of its answer."""

    answer: type[T]
    digest: str
    """SHA-256, hexadecimal."""


def question(job: Job, answer: type[T], *shown: bytes, model: str) -> Question[T]:
    """`shown`: all that the model is shown. The jobs of one user of one tenant share their answers, no others do."""
    parts = [hashlib.sha256(part).hexdigest() for part in shown]
    told = msgspec.json.encode([job.tenant, job.user, model, answer.__name__, schema.strict(answer), parts])
    return Question(answer=answer, digest=hashlib.sha256(told).hexdigest())


class Found(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An answer that was given before, and the blob that it lies in."""

    value: T
    blob: str
    own: bool
    """It was given for this very piece of work, whose worker went before it could be recorded."""
    usage: Usage = Usage()
    """What it cost this piece of work: nothing, unless it is its own."""


class Held(Protocol[T]):
    """A question in hand."""

    @property
    def found(self) -> Found[T] | None:
        """Its answer; None: it is to be asked now, by nobody else."""

    async def keep(self, blob: str, usage: Usage) -> None:
        """It is answered: the answer is stored in `blob`. To be called before the outcome is recorded."""


class Claim(Protocol):
    """Takes a question in hand for a fact's piece of work, until the block ends.

    Raises RetryLater, uncounted, where another piece of work is asking it.
    """

    def __call__(self, question: Question[T], fact: Fact) -> AbstractAsyncContextManager[Held[T]]: ...

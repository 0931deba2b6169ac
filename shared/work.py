"""One entry in a worker's hands: from the handler's call to the recorded outcome, or to what becomes of it instead.

Promises
1. What a handler returns is recorded before its entry leaves the stream: a crash repeats work and loses none.
2. A failure is judged by `shared/retry.py`: deferred (it then holds no slot), failed with a dead letter, or dropped.
3. An entry whose workers died is tried apart from others (`shared/suspects.py`), and buried after 3 crashes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec
from redis.exceptions import RedisError

from shared import blobs, spending
from shared.errors import RetryLater
from shared.lease import Held
from shared.ledger import Entry, Ledger
from shared.outcomes import Noted, Outcome, Usage
from shared.retry import judge
from shared.suspects import BURIED_AFTER, Suspects

log = logging.getLogger(__name__)

SUSPECT_WAIT_S = 2.0  # a suspect that can't run now is put aside for about so long
BLOBS_WAIT_S = 5.0  # a full disk is not emptied in a second

Handler = Callable[[Any], Awaitable[Outcome] | AsyncGenerator[Outcome, None]]
"""`handler(fact)` answers one outcome, or yields several, of which the last one acks."""


class Unrecorded(Exception):
    """The server did not take an outcome for so long that it must be left to whoever reclaims the entry."""


class Work:
    """What one consumer does with each of its entries."""

    def __init__(self, handler: Handler, *, ledger: Ledger, suspects: Suspects, max_attempts: int) -> None:
        self._handler = handler
        self._ledger = ledger
        self._suspects = suspects
        self._max_attempts = max_attempts

    async def do(self, held: Held) -> str:
        """Work on an entry to its end. Answers how it ended, a value of metrics.ENDINGS. Raises Unrecorded."""
        entry, ledger, purse = held.entry, self._ledger, spending.begin()
        try:
            held.begin()
            if entry.fact.crashes >= BURIED_AFTER:
                await ledger.fail(entry, f"{entry.fact.crashes} workers died with it in hand")
                return "failed"
            if entry.fact.crashes and not self._suspects.may_run(entry.fact.crashes):
                await ledger.defer(entry, delay_s=SUSPECT_WAIT_S * random.uniform(0.5, 1.5))
                return "deferred"
            if entry.fact.crashes:
                async with self._suspects.turn(entry.fact.unit, entry.fact.crashes):
                    return await self._outcomes(held)
            return await self._outcomes(held)
        except asyncio.CancelledError:
            match held.why:
                case "stop":
                    log.info("given back: there is no more time for it", extra={"action": "given_back"})
                    await ledger.give_back(entry, usage=purse.spent)
                    return "given_back"
                case "cancelled":
                    await ledger.record(entry, Noted())
                    return "gone"
                case "lost":
                    return "lost"
            raise
        except Unrecorded:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's bug must cost its entry, not the stream
            return await self._judge(held, error, purse.spent)

    async def _outcomes(self, held: Held) -> str:
        answer = self._handler(held.entry.fact)
        if not isinstance(answer, AsyncGenerator):
            return await self._record(held, await answer)
        word = "gone"
        try:
            async for outcome in answer:
                word = await self._record(held, outcome)
                if word == "gone":
                    break
        finally:
            await answer.aclose()
        return word

    async def _record(self, held: Held, outcome: Outcome) -> str:
        held.recording = True
        try:
            word = await self._ledger.record(held.entry, outcome)
        except (RedisError, OSError) as error:
            raise Unrecorded(str(error)) from error
        finally:
            held.recording = False
        return word if word in ("duplicate", "gone") else "recorded"

    async def _judge(self, held: Held, error: Exception, spent: Usage) -> str:
        ledger, fact = self._ledger, held.entry.fact
        if isinstance(error, RedisError):
            error = RetryLater(str(error), counted=False)  # its being away is no entry's failure
        if isinstance(error, blobs.FAILURES) and not isinstance(error, FileNotFoundError):
            told = f"The blob store cannot be used: {blobs.first_line(error)}"
            error = RetryLater(told, after=BLOBS_WAIT_S, counted=False)  # nor is a full disk
        verdict = judge(error, attempts=fact.attempts, max_attempts=self._max_attempts)
        log.warning(verdict.reason, extra={"action": verdict.next, "attempts": verdict.attempts})
        entry = Entry(id=held.entry.id, fact=msgspec.structs.replace(fact, attempts=verdict.attempts))
        match verdict.next:
            case "drop":
                await ledger.record(entry, Noted())
                return "gone"
            case "fail":
                await ledger.fail(entry, verdict.reason, usage=spent)
                return "failed"
            case "defer":
                await ledger.defer(entry, delay_s=verdict.delay_s, usage=spent)
                return "deferred"

"""The ledger: every change of a job's state is one Lua script, and every script a method here of the same name.

Promises
1. One atomic step stores an outcome, appends the next facts, releases what is next, and acks and deletes the cause.
2. Replaying any script is harmless; the ledger itself repeats a call whose reply was lost (`_record`).
3. The first success wins; failures, deferrals and givings back need ownership of the entry.

Reads are `shared/jobs.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared import keys, scripts
from shared.events import (
    FACTS,
    BatchRequested,
    BatchSummarized,
    DocSubmitted,
    DocSummarized,
    Fact,
    PageAnalyzed,
    PageRequested,
)
from shared.outcomes import (
    BatchDone,
    DocumentDone,
    Narrated,
    Noted,
    Outcome,
    PageRead,
    Planned,
    Rendered,
    Speaking,
    Usage,
)
from shared.submission import Cancelled, Submission, Submitted

log = logging.getLogger(__name__)

REPEAT_FOR_S = 60.0
"""How long an outcome that was paid for is offered to a server that does not answer."""

NOTHING = Usage()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A stream entry in a worker's hands."""

    id: str
    fact: Fact


class Ledger:
    """One method a script. All raise redis' errors when the server does not answer or refuses."""

    def __init__(self, redis: Redis, *, worker: str) -> None:
        self._redis = redis
        self._worker = worker

    async def prepare(self) -> None:
        """Make every stream's group, at 0: entries of finished work are deleted, so 0 is where work begins."""
        for fact in FACTS:
            try:
                await self._redis.xgroup_create(fact.stream, fact.group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def submit(self, submission: Submission) -> Submitted:
        arguments = msgspec.structs.asdict(submission)
        run, created, same = await self._call("submit", submission.ref, **arguments)
        return Submitted(run=run, created=bool(created), same=bool(same))

    async def cancel(self, ref: str) -> Cancelled | None:
        """None: the job is not known."""
        answer = await self._call("cancel", ref)
        if answer is None:
            return None
        was, status, run, pages, batches, rev, narration = answer
        return Cancelled(
            was=was,
            status=status,
            run=run,
            stopped_pages=pages,
            stopped_batches=batches,
            rev=rev,
            narration=narration,
        )

    # Outcomes and failures of a stage -------------------------------------------------------------------------------

    async def record(self, entry: Entry, outcome: Outcome) -> str:
        """Record what a handler returned. Answers the script's word: 'recorded', 'duplicate', 'gone', …

        A server that does not answer is asked again for up to REPEAT_FOR_S, then its error is raised.
        """
        match entry.fact, outcome:
            case fact, Noted():
                await self._record("noted", fact, ids=[entry.id])
                return "noted"
            case DocSubmitted() as fact, Planned():
                return await self._record("plan", fact, id=entry.id, pages=outcome.pages)
            case BatchRequested() as fact, Rendered():
                return await self._record(
                    "pages_rendered",
                    fact,
                    id=entry.id,
                    batch=fact.batch,
                    pages=outcome.pages,
                    last=outcome.last,
                )
            case PageRequested() as fact, PageRead():
                return await self._record(
                    "page_analyzed",
                    fact,
                    id=entry.id,
                    ordinal=fact.ordinal,
                    page=fact.page,
                    round=fact.round,
                    record=msgspec.json.encode(
                        {"page": fact.page, "blob": outcome.blob, **({"cached": True} if outcome.cached else {})}
                    ).decode(),
                    cached=outcome.cached,
                    usage=outcome.usage,
                )
            case PageAnalyzed() as fact, BatchDone():
                return await self._batch_summarized(entry.id, fact, outcome, bury=False)
            case BatchSummarized() as fact, DocumentDone():
                return await self._doc_summarized(entry.id, fact, outcome, bury=False)
            case DocSummarized() as fact, Speaking():
                return await self._record("doc_speaking", fact, id=entry.id)
            case DocSummarized() as fact, Narrated():
                return await self._record(
                    "doc_narrated",
                    fact,
                    id=entry.id,
                    rev=fact.rev,
                    audio=outcome.audio,
                    timeline=outcome.timeline,
                    failed="",
                    usage=outcome.usage,
                )
        raise TypeError(f"{type(outcome).__name__} is no outcome of {type(entry.fact).__name__}")

    async def fail(self, entry: Entry, reason: str, *, usage: Usage = NOTHING) -> str:
        """Give an entry up: its stage's failure, a dead letter and the ack, in one step. `usage`: of its last try."""
        match entry.fact:
            case DocSubmitted() as fact:
                return await self._record("doc_failed", fact, id=entry.id, reason=reason)
            case BatchRequested() as fact:
                return await self._record(
                    "pages_rendered",
                    fact,
                    id=entry.id,
                    batch=fact.batch,
                    pages=[],
                    last=True,
                    fail_rest=reason,
                )
            case PageRequested() as fact:
                return await self._record(
                    "page_failed",
                    fact,
                    id=entry.id,
                    ordinal=fact.ordinal,
                    page=fact.page,
                    round=fact.round,
                    reason=reason,
                    usage=usage,
                )
            case PageAnalyzed(last=False) | BatchSummarized(last=False) as fact:  # nothing hangs on it
                buried = await self.malformed(type(fact), entry.id, reason)
                return "recorded" if buried else "gone"
            case PageAnalyzed() as fact:
                return await self._batch_summarized(entry.id, fact, BatchDone(failed=reason, usage=usage), bury=True)
            case BatchSummarized() as fact:
                return await self._doc_summarized(entry.id, fact, DocumentDone(failed=reason, usage=usage), bury=True)
            case DocSummarized() as fact:
                return await self._record(
                    "doc_narrated", fact, id=entry.id, rev=fact.rev, audio="", timeline="", failed=reason, usage=usage
                )
        raise TypeError(f"no failure is known for {type(entry.fact).__name__}")

    async def _batch_summarized(self, entry_id: str, fact: PageAnalyzed, done: BatchDone, *, bury: bool) -> str:
        outcome = {"blob": done.blob, "failed": done.failed, "usage": done.usage}
        return await self._record(
            "batch_summarized", fact, id=entry_id, batch=fact.batch, rev=fact.rev, bury=bury, **outcome
        )

    async def _doc_summarized(self, entry_id: str, fact: BatchSummarized, done: DocumentDone, *, bury: bool) -> str:
        outcome = {"blob": done.blob, "failed": done.failed, "usage": done.usage}
        return await self._record("doc_summarized", fact, id=entry_id, rev=fact.rev, bury=bury, **outcome)

    # Leases and waiting ---------------------------------------------------------------------------------------------

    async def renew(self, fact: type[Fact], ids: list[str]) -> list[str]:
        """Renew leases; answers the ids that are not this worker's any more."""
        lost: list[str] = await self._call("renew", "", stream=fact.stream, ids=ids)
        return lost

    async def reclaim(self, entry: Entry, *, owner: str, idle_ms: int, crashed: bool) -> int | None:
        """Take over a stale entry. Answers the crashes known of its unit, None where it is not to be had."""
        crashes: int | None = await self._call(
            "reclaim",
            entry.fact.job,
            stream=entry.fact.stream,
            run=entry.fact.run,
            unit=entry.fact.unit,
            id=entry.id,
            owner=owner,
            idle_ms=idle_ms,
            crashed=crashed,
        )
        return crashes

    async def defer(self, entry: Entry, *, delay_s: float, usage: Usage = NOTHING) -> str:
        """Put an entry aside until it is due, with the counters of `entry.fact`. `usage`: what its try has used."""
        delay_ms, fields = int(delay_s * 1000), _flat(entry.fact)
        return await self._record("defer", entry.fact, id=entry.id, delay_ms=delay_ms, fields=fields, usage=usage)

    async def give_back(self, entry: Entry, *, usage: Usage = NOTHING) -> str:
        """Put an entry back for anybody, at once. `usage`: what its try has used."""
        return await self._record("give_back", entry.fact, id=entry.id, fields=_flat(entry.fact), usage=usage)

    async def malformed(self, fact: type[Fact], entry_id: str, reason: str) -> bool:
        """Move an entry that can't be decoded to the dead letters. Answers whether it was there."""
        return bool(await self._call("malformed", "", stream=fact.stream, id=entry_id, reason=reason))

    async def release(self, *, renderers: int | None = None, retention_ms: int | None = None) -> None:
        """Move what is due and what is next into the streams.

        `renderers`: how many processes render. `retention_ms`: how long ended jobs are kept from now on, 0 for ever.
        """
        told = {"renderers": renderers, "retention_ms": retention_ms}
        await self._call("release", "", stream="", **{name: it for name, it in told.items() if it is not None})

    async def retire(self, ref: str) -> bool:
        """Give an ended job without a lifetime its own. Answers whether it got one."""
        return bool(await self._call("retire", ref))

    async def reap(self, fact: type[Fact], consumer: str) -> int:
        """Remove a consumer that is gone, unless it holds something. Answers 1 if it went."""
        gone: int = await self._call("reap", "", stream=fact.stream, consumer=consumer)
        return gone

    # -----------------------------------------------------------------------------------------------------------------

    async def _record(self, name: str, fact: Fact, **arguments: object) -> str:
        """Call a script of this fact's job until the server has answered: a repeat is harmless, a loss is not."""
        waited, pause = 0.0, 0.1
        while True:
            try:
                answer = await self._call(
                    name,
                    fact.job,
                    run=fact.run,
                    stream=fact.stream,
                    unit=fact.unit,
                    attempts=fact.attempts,
                    **arguments,
                )
            except (RedisConnectionError, RedisTimeoutError) as error:
                if waited >= REPEAT_FOR_S:
                    raise
                log.warning("not recorded yet: %s", error, extra={"action": "record_repeat", "script": name})
                delay = pause * random.uniform(0.5, 1)
                await asyncio.sleep(delay)
                waited, pause = waited + delay, min(pause * 2, 5.0)
            else:
                return str(answer)

    async def _call(self, name: str, ref: str, /, *, stream: str = "", **arguments: object) -> Any:
        script = scripts.load(name)
        named = [keys.by_name(key, ref=ref, stream=stream) for key in script.keys]
        fixed = {"job": ref, "stream": stream, "worker": self._worker}
        return await scripts.call(self._redis, script, named, {**fixed, **arguments})


def _flat(fact: Fact) -> list[str]:
    return [word for pair in fact.to_fields().items() for word in pair]

"""The verdict on a fleet that had its faults and then its quiet: what of its promises it broke, in sentences.

Everything is looked at from both sides: what the ledger holds in Redis, and what a client is told over HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis

from shared import keys
from shared.events import FACTS, PageRequested
from shared.jobs import Jobs
from shared.records import TERMINAL, Job
from tests.standin.calls import Call

_EMPTY = {
    keys.PAGES_QUEUE: "zcard",
    keys.PAGES_BODIES: "hlen",
    keys.PAGES_AT: "hlen",
    keys.PAGES_READY: "hlen",
    keys.BATCHES_QUEUE: "zcard",
    keys.BATCHES_BODIES: "hlen",
    keys.TAGS: "hlen",
    keys.STARTED: "hlen",
    keys.ACTIVE: "zcard",
}
"""Keys of the fleet that hold nothing when no job is open, and the command that counts what they hold."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A document whose submission was answered 202."""

    id: str
    pages: int
    tokens: tuple[str, ...] = ()
    """Of its page images, in page order (`tests.pages.token`); empty where they are not known (a PDF's)."""
    narrate: bool = False
    cancelled: bool = False
    """A cancel was acknowledged, so that it may have ended as cancelled."""
    gaps: frozenset[int] = frozenset()
    """Page numbers that may have become gaps; any other gap is a broken promise."""
    tenant: str = "local"

    @property
    def ref(self) -> str:
        return f"{self.tenant}/{self.id}"


async def verdict(
    redis: Redis,
    session: aiohttp.ClientSession,
    asked: Iterable[Asked],
    calls: Sequence[Call],
    *,
    extra: int,
    extra_each: int | None = None,
) -> list[str]:
    """All that is wrong; nothing for a fleet that kept its promises.

    `session`: with a gateway's address as its base. `calls`: all that the stand-in was asked, those for speech too.
    `extra`: calls that faults may have cost beyond one for each outcome; `extra_each`: for one page image (default:
    as `extra`).
    """
    asked = list(asked)
    wrong = [sentence async for sentence in leftovers(redis)]
    jobs = Jobs(redis)
    paid = 0
    for document in asked:
        job = await jobs.get(document.ref)
        if job is None:
            wrong.append(f"{document.ref}: lost: Redis does not know it")
            continue
        paid += job.calls
        wrong += [f"{document.ref}: {sentence}" async for sentence in _in_redis(redis, job, document)]
        wrong += [f"{document.ref}: {sentence}" async for sentence in _over_http(session, job, document)]
    return wrong + list(too_many_calls(asked, calls, paid=paid, extra=extra, extra_each=extra_each))


async def leftovers(redis: Redis) -> AsyncIterator[str]:
    """What a fleet without open jobs still holds: entries, waiting work, and consumers' pending lists."""
    for fact in FACTS:
        if length := await redis.xlen(fact.stream):
            yield f"{length} entries are left in {fact.stream}"
        if pending := (await redis.xpending(fact.stream, fact.group))["pending"]:
            yield f"{pending} entries of {fact.stream} are still in somebody's hands"
        if deferred := await redis.zcard(keys.deferred(fact.stream)):
            yield f"{deferred} entries of {fact.stream} still wait for another try"
        if fact is not PageRequested and (bodies := await redis.hlen(keys.bodies(fact.stream))):
            yield f"{bodies} bodies are left in {keys.bodies(fact.stream)}"
    for key, command in _EMPTY.items():
        if held := await getattr(redis, command)(key):
            yield f"{key} still holds {held}"


async def _in_redis(redis: Redis, job: Job, document: Asked) -> AsyncIterator[str]:
    """Sets and counters of one job; `job` is its hash."""
    if job.status not in TERMINAL:
        yield f"has not ended: it is {job.status}"
    if job.status == "cancelled" and not document.cancelled:
        yield "is cancelled, which nobody asked for"
    read: Any = await redis.hgetall(keys.read(job.ref))
    gaps: Any = await redis.hgetall(keys.gaps(job.ref))
    if both := sorted(read.keys() & gaps.keys(), key=int):
        yield f"ordinals {both} ended twice: read, and as gaps"
    if (job.done, job.failed) != (len(read), len(gaps)):
        yield f"counts {job.done} pages done and {job.failed} failed, but holds {len(read)} and {len(gaps)}"
    records = [msgspec.json.decode(record) for record in read.values()]
    for counter in ("blank", "cached"):
        held = sum(bool(record.get(counter)) for record in records)
        if getattr(job, counter) != held:
            yield f"counts {getattr(job, counter)} {counter} pages, but holds {held}"
    shared = [blob for blob, times in Counter(r["blob"] for r in records if r["blob"]).items() if times > 1]
    if shared and len(set(document.tokens)) == len(document.tokens):
        yield f"pages share results: {shared}"
    if job.status == "cancelled":
        return
    if job.pages != document.pages:
        yield f"has {job.pages} pages instead of {document.pages}"
    if missing := sorted(set(range(job.pages)) - {int(o) for o in (*read, *gaps)}):
        yield f"ordinals {missing} never ended"
    async for sentence in _summaries(redis, job, document):
        yield sentence


async def _summaries(redis: Redis, job: Job, document: Asked) -> AsyncIterator[str]:
    """Each batch once, one summary, one narration: the gates, the records and the counters say the same."""
    batches: Any = await redis.hgetall(keys.batches(job.ref))
    gates: Any = await redis.hgetall(keys.gates(job.ref))
    told = {name: msgspec.json.decode(value) for name, value in batches.items() if name.startswith("summary:")}
    if told.keys() != {f"summary:{batch}" for batch in range(job.batches)}:
        yield f"has summaries of {sorted(told)} instead of {job.batches} batches"
    summarised = sum(not record["failed"] for record in told.values())
    if (job.batches_done, job.batches_failed) != (summarised, len(told) - summarised):
        yield f"counts {job.batches_done} and {job.batches_failed} batches, but holds {summarised} of {len(told)}"
    for batch in range(job.batches):
        ended = int(batches.get(f"ended:{batch}", 0))
        if ended != len(job.batch_ordinals(batch)):
            yield f"counts {ended} ended pages in batch {batch} of {len(job.batch_ordinals(batch))}"
        if f"batch:{batch}:{batches.get(f'rev:{batch}', 1)}" not in gates:
            yield f"batch {batch} has passed no gate"
    if f"summary:{job.rev}" not in gates:
        yield "its summary has passed no gate"
    if document.narrate and job.summary and (job.audio != "ready" or f"audio:{job.rev}" not in gates):
        yield f"its narration is {job.audio!r} {job.audio_reason}"


async def _over_http(session: aiohttp.ClientSession, job: Job, document: Asked) -> AsyncIterator[str]:
    """What a client is told, against the job's hash."""
    status = await _json(session, f"/batch-status/{document.id}")
    result = await _json(session, f"/documents/{document.id}")
    if not status["status"] == result["status"] == job.status:
        yield f"is {job.status}, but told as {status['status']} and {result['status']}"
    numbers = [page["page"] for page in result["pages"]]
    if numbers != list(range(1, job.pages + 1)):
        yield f"its result shows the pages {numbers}"
    wanted = {"done", "failed"} | ({"cancelled"} if job.status == "cancelled" else set())
    if others := [page["page"] for page in result["pages"] if page["status"] not in wanted]:
        yield f"pages {others} ended as neither done nor failed"
    for page, token in zip(result["pages"], document.tokens, strict=False):
        if page["status"] == "done" and not page["blank"] and token not in page["text"]:
            yield f"page {page['page']} shows another page's text"
    gaps = {gap["page"]: gap["reason"] for gap in result["gaps"]}
    if set(gaps) - document.gaps and job.status != "cancelled":
        yield f"has gaps that nothing explains: { {page: gaps[page] for page in set(gaps) - document.gaps} }"
    if status["gaps"] != result["gaps"]:
        yield f"its status tells other gaps than its result: {status['gaps']}"
    if job.status == "completed" and (gaps or job.done != document.pages or result["summary"] is None):
        yield "is completed, but not every page is read, or the summary is missing"
    if job.status == "failed":
        yield f"has failed: {job.reason}"
    if job.status == "partial" and not document.gaps:
        yield f"is partial: {job.reason}"
    if document.narrate and job.audio == "ready":
        async with session.get(f"/documents/{document.id}/audio") as answer:
            if answer.status != 200 or not await answer.read():
                yield f"its narration is answered with {answer.status}"


def too_many_calls(
    asked: Iterable[Asked], calls: Sequence[Call], *, paid: int, extra: int, extra_each: int | None = None
) -> list[str]:
    """Calls beyond those whose outcome was recorded (`paid`, the sum of the jobs' own count) and what faults may cost.

    Only answers that the caller waited for are counted: a refusal, an error, a call that was aborted is not paid for.
    """
    each = extra if extra_each is None else extra_each
    answered = [call for call in calls if call.did == "answer" and call.ended and not call.aborted]
    wrong = []
    if len(answered) > paid + extra:
        wrong.append(f"{len(answered)} calls were answered for {paid} that count; {extra} more are allowed")
    if len(answered) < paid:
        wrong.append(f"{paid} calls are counted, but only {len(answered)} were answered")
    images = Counter(token for document in asked for token in document.tokens)
    by_token = Counter(call.token for call in answered if call.token in images)
    for token, times in by_token.items():
        if times > images[token] + each:
            wrong.append(f"{token} was read {times} times; {images[token] + each} are allowed")
    return wrong


async def _json(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path, raise_for_status=True) as answer:
        return msgspec.json.decode(await answer.read())

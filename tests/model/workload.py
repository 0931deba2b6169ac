"""Two documents on their way through the ledger, with all that can happen to them; and who finishes what is left."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from shared import keys
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
from shared.ledger import Entry, Ledger
from shared.outcomes import (
    BatchDone,
    DocumentDone,
    Narrated,
    Noted,
    Outcome,
    PageRead,
    Planned,
    Rendered,
    RenderedPage,
    Speaking,
    Usage,
)
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings
from shared.submission import Submission
from tests import apps
from tests.ledgers import the_job

BOOK, NOTE = "local/book", "local/note"
PAGES = {BOOK: 7, NOTE: 3}
SIZE = 3  # pages a batch
ONE_CALL = Usage(calls=1, tokens_in=100, tokens_out=10, cost_usd=0.25)


async def run(app: App[Settings]) -> None:
    """A book with a blank page, gaps, a deferral, a crash, a retry and a narration that fails; a note is cancelled."""
    ledger, redis = app.ledger, app.redis
    await ledger.release(retention_ms=86_400_000)
    for ref in PAGES:
        await ledger.submit(
            Submission(
                ref=ref, run=f"run of {ref}", kind="pdf", source="u", fingerprint="f", batch_size=SIZE, narrate=True
            )
        )
    await _all(app, DocSubmitted)
    await _all(app, BatchRequested)
    first, second, third, *others = await apps.take(redis, PageRequested, app.worker, count=3)
    await ledger.defer(first, delay_s=0.001)
    await ledger.give_back(second)
    for doomed in (third, *others):
        await ledger.fail(doomed, "the model refused it")
    crashed, *_ = await apps.take(redis, PageRequested, "crashed", count=2)
    await ledger.reclaim(crashed, owner="crashed", idle_ms=0, crashed=True)
    await Ledger(redis, worker="zombie").record(crashed, _outcome(crashed.fact))
    await ledger.cancel(NOTE)
    await drain(app)
    job = await the_job(app, BOOK)
    assert (job.status, job.rev) == ("partial", 1)
    gaps = [gap.ordinal for gap in await app.jobs.gaps(job)]
    assert (await Repairs(redis).retry_pages(job, ordinals=gaps)).word == "retried"
    for fact in (PageRequested, PageAnalyzed, BatchSummarized):
        await _all(app, fact)
    (tale,) = await apps.take(redis, DocSummarized, app.worker)
    await ledger.fail(tale, "the voice is gone")
    assert (await Repairs(redis).retry_audio(await the_job(app, BOOK))).word == "retried"
    await drain(app)
    assert (await the_job(app, BOOK)).status == "completed"
    assert (await the_job(app, BOOK)).audio == "ready"


async def drain(app: App[Settings]) -> None:
    """Do all that waits, is deferred, or is in the hands of somebody who is gone, until nothing is left."""
    moved = True
    while moved:
        for fact in FACTS:
            for unit in await app.redis.zrange(keys.deferred(fact.stream), 0, -1):
                await app.redis.zadd(keys.deferred(fact.stream), {unit: 0})
        await app.ledger.release()
        moved = False
        for fact in FACTS:
            moved = await _all(app, fact) or moved


async def _all(app: App[Settings], kind: type[Fact]) -> bool:
    """Everything at this stage; answers whether there was anything."""
    await _take_over(app.redis, kind, app.worker)
    entries = await apps.take(app.redis, kind, app.worker)
    pending = await app.redis.xpending_range(kind.stream, kind.group, "-", "+", 1000, consumername=app.worker)
    for row in pending:
        found = await app.redis.xrange(kind.stream, row["message_id"], row["message_id"])
        if not found:
            continue  # it went with another's outcome
        entry = Entry(id=row["message_id"], fact=kind.from_fields(found[0][1]))
        if isinstance(entry.fact, DocSummarized):
            await app.ledger.record(entry, Speaking())
        await app.ledger.record(entry, _outcome(entry.fact))
    return bool(entries or pending)


async def _take_over(redis: Redis, kind: type[Fact], worker: str) -> None:
    await redis.xautoclaim(kind.stream, kind.group, worker, 0, "0-0", count=1000, justid=True)


def _outcome(fact: Fact) -> Outcome:
    outcomes: dict[type[Fact], Callable[[], Outcome]] = {
        DocSubmitted: lambda: Planned(pages=PAGES[fact.job]),
        BatchRequested: lambda: _rendered(fact),
        PageRequested: lambda: PageRead(blob="page", usage=ONE_CALL),
        PageAnalyzed: lambda: BatchDone(blob="batch") if fact.last else Noted(),  # type: ignore[attr-defined]
        BatchSummarized: lambda: DocumentDone(blob="doc") if fact.last else Noted(),  # type: ignore[attr-defined]
        DocSummarized: lambda: Narrated(audio="mp3", timeline="json", usage=ONE_CALL),
    }
    return outcomes[type(fact)]()


def _rendered(fact: Fact) -> Rendered:
    """The pages of a batch; the fifth of a document is blank."""
    assert isinstance(fact, BatchRequested)
    ordinals = range(fact.batch * SIZE, min((fact.batch + 1) * SIZE, PAGES[fact.job]))
    pages = [RenderedPage(ordinal=o, page=o + 1, image="" if o == 4 else f"images/{o}", blank=o == 4) for o in ordinals]
    return Rendered(pages=pages, last=True)

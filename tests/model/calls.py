"""Every call of a ledger script that the machine makes: how it is made of the server, and of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from redis.asyncio import Redis

from shared.events import Fact
from shared.ledger import Entry, Ledger
from shared.outcomes import Outcome
from shared.records import Job
from shared.repairs import Repairs, Retried
from shared.submission import Submission
from tests.model.mending import Mending

LONG_S = 3600.0
"""A deferral that is not due while a test runs."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call as `worker` makes it; it can be made again at any later time."""

    worker: str

    async def real(self, redis: Redis) -> object:
        raise NotImplementedError

    def model(self, scripts: Mending) -> object:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Submit(Call):
    submission: Submission

    async def real(self, redis: Redis) -> object:
        answer = await Ledger(redis, worker=self.worker).submit(self.submission)
        return answer.run, answer.created, answer.same

    def model(self, scripts: Mending) -> object:
        return scripts.submit(self.submission)


@dataclass(frozen=True, kw_only=True)
class Cancel(Call):
    ref: str

    async def real(self, redis: Redis) -> object:
        answer = await Ledger(redis, worker=self.worker).cancel(self.ref)
        return answer and msgspec.structs.astuple(answer)

    def model(self, scripts: Mending) -> object:
        return scripts.cancel(self.ref)


@dataclass(frozen=True, kw_only=True)
class Record(Call):
    entry: Entry
    outcome: Outcome

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).record(self.entry, self.outcome)

    def model(self, scripts: Mending) -> object:
        return scripts.record(self.worker, self.entry, self.outcome)


@dataclass(frozen=True, kw_only=True)
class Fail(Call):
    entry: Entry
    reason: str = "it failed"

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).fail(self.entry, self.reason)

    def model(self, scripts: Mending) -> object:
        return scripts.fail(self.worker, self.entry, self.reason)


@dataclass(frozen=True, kw_only=True)
class Defer(Call):
    entry: Entry
    at_once: bool

    async def real(self, redis: Redis) -> object:
        delay_s = 0 if self.at_once else LONG_S
        return await Ledger(redis, worker=self.worker).defer(self.entry, delay_s=delay_s)

    def model(self, scripts: Mending) -> object:
        return scripts.defer(self.worker, self.entry, at_once=self.at_once)


@dataclass(frozen=True, kw_only=True)
class GiveBack(Call):
    entry: Entry

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).give_back(self.entry)

    def model(self, scripts: Mending) -> object:
        return scripts.give_back(self.worker, self.entry)


@dataclass(frozen=True, kw_only=True)
class Reclaim(Call):
    entry: Entry
    owner: str
    crashed: bool

    async def real(self, redis: Redis) -> object:
        ledger = Ledger(redis, worker=self.worker)
        return await ledger.reclaim(self.entry, owner=self.owner, idle_ms=0, crashed=self.crashed)

    def model(self, scripts: Mending) -> object:
        return scripts.reclaim(self.worker, self.entry, owner=self.owner, crashed=self.crashed)


@dataclass(frozen=True, kw_only=True)
class Renew(Call):
    fact: type[Fact]
    entries: tuple[Entry, ...]

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).renew(self.fact, [entry.id for entry in self.entries])

    def model(self, scripts: Mending) -> object:
        return scripts.renew(self.worker, self.entries)


@dataclass(frozen=True, kw_only=True)
class Release(Call):
    renderers: int | None

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).release(renderers=self.renderers)

    def model(self, scripts: Mending) -> object:
        return scripts.release(self.renderers)


@dataclass(frozen=True, kw_only=True)
class Reap(Call):
    fact: type[Fact]
    consumer: str

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).reap(self.fact, self.consumer)

    def model(self, scripts: Mending) -> object:
        return scripts.reap(self.fact, self.consumer)


@dataclass(frozen=True, kw_only=True)
class Malformed(Call):
    fact: type[Fact]
    id: str

    async def real(self, redis: Redis) -> object:
        return await Ledger(redis, worker=self.worker).malformed(self.fact, self.id, "it is no fact")

    def model(self, scripts: Mending) -> object:
        return scripts.malformed(self.fact, self.id)


@dataclass(frozen=True, kw_only=True)
class Reconcile(Call):
    ref: str

    async def real(self, redis: Redis) -> object:
        return await Repairs(redis).reconcile(self.ref)

    def model(self, scripts: Mending) -> object:
        return scripts.reconcile(self.ref)


@dataclass(frozen=True, kw_only=True)
class Retry(Call):
    """`what`: pages, plan or audio; as of a job whose run and rev were these."""

    what: str
    ref: str
    run: str
    rev: int
    ordinals: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    summary: bool = False

    async def real(self, redis: Redis) -> object:
        job = Job(
            ref=self.ref, run=self.run, rev=self.rev, status="failed", kind="pdf", source="", fingerprint="",
            batch_size=1, created_ms=0,
        )  # fmt: skip
        repairs = Repairs(redis)
        retries: dict[str, Callable[[], object]] = {
            "pages": lambda: repairs.retry_pages(
                job, ordinals=self.ordinals, batches=self.batches, summary=self.summary
            ),
            "plan": lambda: repairs.retry_plan(job),
            "audio": lambda: repairs.retry_audio(job),
        }
        answer = await retries[self.what]()  # type: ignore[misc]  # each is a coroutine
        assert isinstance(answer, Retried)
        return answer.word, answer.pages, answer.batches

    def model(self, scripts: Mending) -> object:
        known = (self.ref, self.run, self.rev)
        if self.what == "plan":
            return scripts.retry_plan(*known)
        if self.what == "audio":
            return scripts.retry_audio(*known)
        return scripts.retry_pages(*known, ordinals=self.ordinals, batches=self.batches, summary=self.summary)

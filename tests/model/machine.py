"""hypothesis drives the ledger and the model side by side: any order, repeats, stale numbers, wrong owners.

After each call the answers must be equal, the server must hold what the model holds, and be consistent by itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from redis.asyncio import Redis

from shared import keys
from shared.events import FACTS, Fact
from shared.ledger import Entry, Ledger
from shared.submission import Submission
from tests.model import calls, moving
from tests.model.calls import Call
from tests.model.compare import differences
from tests.model.consistency import faults
from tests.model.mending import Mending
from tests.model.outcomes import LONGEST, outcome
from tests.model.seen import Seen, look
from tests.model.state import State

REFS = ("local/a", "local/b")
WORKERS = ("w1", "w2", "w3")
SELECTION = "2-4,7,9-20"

pick = st.integers(0, 10_000)
worker = st.sampled_from(WORKERS)
ref = st.sampled_from(REFS)
fact = st.sampled_from(FACTS)
stage = st.integers(0, len(FACTS))
failing = st.sampled_from((None, None, None, None, *FACTS))
how = st.sampled_from(("owner", "owner", "wrong", "late"))

A_DAY_MS = 86_400_000


class LedgerMachine(RuleBasedStateMachine):
    """`run` runs a coroutine; the server is emptied for each example."""

    def __init__(self, redis: Redis, runner: asyncio.Runner) -> None:
        super().__init__()
        self._redis = redis
        self._run = runner.run
        self._runs = itertools.count(1)
        self._made: list[Call] = []
        self._taken: list[Entry] = []
        self.state = State()
        self.scripts = Mending(self.state)
        self._stage: type[Fact] = FACTS[0]
        """Where most is done out of order in this example."""
        self.seen: Seen

    @initialize(
        upto=stage,
        size=st.integers(1, 3),
        narrate=st.booleans(),
        shape=pick,
        failing=failing,
        at=fact,
    )
    def begin(
        self,
        upto: int,
        size: int,
        narrate: bool,
        shape: int,
        failing: type[Fact] | None,
        at: type[Fact],
    ) -> None:
        """Two jobs: one where most is done out of order, one somewhere on its way."""
        self._stage, narrate = at, narrate or at is FACTS[-1]
        self._run(self._redis.flushdb())
        ledger = Ledger(self._redis, worker="w1")
        self._run(ledger.prepare())
        self._run(ledger.release(retention_ms=A_DAY_MS))
        self.seen = self._run(look(self._redis, REFS))
        for ref, last in zip(REFS, (FACTS.index(at), upto), strict=True):
            self.submit(ref, size, narrate, chosen=not narrate, same=True)
            self.work(last, "w1", shape, LONGEST, failing)
        for fact in FACTS:
            self.take(fact, WORKERS[shape % len(WORKERS)], 1 + shape % 3)

    # One step ---------------------------------------------------------------------------------------------------------

    def make(self, call: Call) -> None:
        """Make this call of both, and hold them against each other."""
        said = call.model(self.scripts)
        answer = self._run(call.real(self._redis))
        note(f"{call} -> {answer}")
        assert answer == said, f"the server answers {answer}, the model {said}"
        self.check()
        self._made.append(call)

    def check(self) -> None:
        before, self.seen = self.seen, self._run(look(self._redis, REFS))
        moving.follow(self.state, before, self.seen)
        wrong = [*differences(self.state, self.seen), *faults(self.seen)]
        assert not wrong, "\n".join(wrong)

    def held(self, kind: type[Fact] = Fact, by: str | None = None) -> list[Entry]:
        """Entries in somebody's hands."""
        return [
            Entry(id=id_, fact=held.fact)
            for entries in self.state.streams.values()
            for id_, held in sorted(entries.items())
            if isinstance(held.fact, kind) and held.owner is not None and by in (None, held.owner)
        ]

    def chosen(self, number: int, worker: str, how: str) -> tuple[str, Entry]:
        """Who acts on what: the owner of an entry; anybody, on an entry in hand; or anybody, on one that ever was."""
        if how != "late" and not self.held(self._stage):
            self.supply(number)
        held, taken = self.held(), self._taken
        mine = [entry for entry in held if isinstance(entry.fact, self._stage)]
        if how == "late" or not held:
            once = [entry for entry in taken if isinstance(entry.fact, self._stage)] or taken
            return worker, once[number % len(once)]
        entry = (mine or held)[number % len(mine or held)]
        owner = self.state.streams[entry.fact.stream][entry.id].owner
        return (worker if how == "wrong" else owner or worker), entry

    # Jobs come, are read, and go --------------------------------------------------------------------------------------

    def supply(self, shape: int) -> None:
        """Bring something to the stage of this example: a new document where all have ended."""
        if all(job.ended for job in self.state.jobs.values()) and not self.held():
            ref = REFS[shape % len(REFS)]
            if ref in self.state.jobs:
                self.expire(ref, wholly=True)
            self.submit(ref, 1 + shape % 3, self._stage is FACTS[-1], chosen=False, same=True)
        self.work(FACTS.index(self._stage), WORKERS[shape % len(WORKERS)], shape, LONGEST, None)
        self.take(self._stage, WORKERS[shape // 3 % len(WORKERS)], LONGEST)

    def submit(self, ref: str, size: int, narrate: bool, *, chosen: bool, same: bool) -> None:
        new = Submission(
            ref=ref,
            run=f"run{next(self._runs)}",
            kind="pdf",
            source="upload",
            fingerprint="same" if same else "other",
            batch_size=size,
            narrate=narrate,
            selection=SELECTION if chosen else "",
        )
        self.make(calls.Submit(worker="gateway", submission=new))

    @rule(fact=fact, worker=worker, count=st.integers(1, LONGEST))
    def take(self, fact: type[Fact], worker: str, count: int) -> None:
        """Read what waits, as consumers do: with a release behind it."""
        found = self._run(
            self._redis.xreadgroup(fact.group, worker, {fact.stream: ">"}, count=count)  # type: ignore[arg-type]
        )
        for id_, _ in found[0][1] if found else []:
            held = self.state.streams[fact.stream][id_]
            assert held.owner is None
            held.owner = worker
            self._taken.append(Entry(id=id_, fact=held.fact))
        self.make(calls.Release(worker=worker, renderers=None))

    @rule(upto=stage, worker=worker, shape=pick, count=st.sampled_from((1, LONGEST, LONGEST)), failing=failing)
    def work(self, upto: int, worker: str, shape: int, count: int, failing: type[Fact] | None) -> None:
        """A worker does what waits at the first stages, one after the other; at one of them it may fail."""
        for fact in FACTS[:upto]:
            self.take(fact, worker, count)
            for entry in self.held(fact, worker):
                shape = shape * 7 % 10_007
                left = fact is self._stage and shape % 2
                if not left and entry.id in self.state.streams[fact.stream]:
                    if fact is failing:
                        self.make(calls.Fail(worker=worker, entry=entry))
                    else:
                        self._record(worker, entry, shape)

    @rule(number=pick, worker=worker, how=how, shape=pick)
    def succeed(self, number: int, worker: str, how: str, shape: int) -> None:
        self._record(*self.chosen(number, worker, how), shape)

    def _record(self, worker: str, entry: Entry, shape: int) -> None:
        returned = outcome(entry.fact, shape, self.state.jobs.get(entry.fact.job))
        if returned is not None:
            self.make(calls.Record(worker=worker, entry=entry, outcome=returned))

    @rule(number=pick, worker=worker, how=how)
    def fail(self, number: int, worker: str, how: str) -> None:
        by, entry = self.chosen(number, worker, how)
        self.make(calls.Fail(worker=by, entry=entry))

    @rule(number=pick, worker=worker, how=how, at_once=st.booleans(), attempts=st.integers(0, 2))
    def defer(self, number: int, worker: str, how: str, at_once: bool, attempts: int) -> None:
        by, entry = self.chosen(number, worker, how)
        tried = type(entry.fact).from_fields({**entry.fact.to_fields(), "attempts": str(attempts)})
        self.make(calls.Defer(worker=by, entry=Entry(id=entry.id, fact=tried), at_once=at_once))

    @rule(number=pick, worker=worker, how=how)
    def give_back(self, number: int, worker: str, how: str) -> None:
        by, entry = self.chosen(number, worker, how)
        self.make(calls.GiveBack(worker=by, entry=entry))

    @rule(number=pick, worker=worker, other=worker, how=how, crashed=st.booleans())
    def reclaim(self, number: int, worker: str, other: str, how: str, crashed: bool) -> None:
        owner, entry = self.chosen(number, other, how)
        self.make(calls.Reclaim(worker=worker, entry=entry, owner=owner, crashed=crashed))

    @rule(
        what=st.sampled_from(("renew", "release", "reap", "reconcile")),
        fact=fact,
        number=pick,
        renderers=st.none() | st.just(2),
    )
    def keep(self, what: str, fact: type[Fact], number: int, renderers: int | None) -> None:
        """A worker renews its leases, with some that it has lost; the keeper goes its rounds."""
        match what:
            case "renew":
                entries = tuple(entry for entry in self._taken[-20:] if isinstance(entry.fact, fact))
                self.make(calls.Renew(worker=WORKERS[number % len(WORKERS)], fact=fact, entries=entries))
            case "release":
                self.make(calls.Release(worker="keeper", renderers=renderers))
            case "reap":
                self.make(calls.Reap(worker="keeper", fact=fact, consumer=WORKERS[number % len(WORKERS)]))
            case "reconcile":
                self.make(calls.Reconcile(worker="keeper", ref=REFS[number % len(REFS)]))

    @precondition(lambda self: any(self.state.deferred.values()))
    @rule(number=pick)
    def time_passes(self, number: int) -> None:
        """Something that was deferred is due."""
        later = [(stream, unit) for stream, units in self.state.deferred.items() for unit in sorted(units)]
        stream, unit = later[number % len(later)]
        self.state.deferred[stream][unit] = True
        self._run(self._redis.zadd(keys.deferred(stream), {unit: 0}, xx=True))
        self.make(calls.Release(worker="keeper", renderers=None))

    @precondition(lambda self: self.state.jobs)
    @rule(
        number=pick,
        what=st.sampled_from(("letters", "letters", "chosen", "plan", "audio")),
        ordinals=st.lists(st.integers(0, LONGEST), max_size=LONGEST),
        batches=st.lists(st.integers(0, 3), max_size=3),
        older=st.sampled_from((0, 0, 0, 1)),
    )
    def retry(self, number: int, what: str, ordinals: list[int], batches: list[int], older: int) -> None:
        """All that has failed, as `quire dead replay` asks; or what somebody chose; or of a rev that is over."""
        job = sorted(self.state.jobs.values(), key=lambda job: job.ref)[number % len(self.state.jobs)]
        chosen = calls.Retry(worker="cli", what=what, ref=job.ref, run=job.run, rev=job.rev - older)
        if what == "letters":
            if not job.planned or (job.audio == "failed" and job.summary):
                self.make(dataclasses.replace(chosen, what="audio" if job.planned else "plan"))
                return
            ordinals, batches = sorted(job.gaps), sorted(batch for batch, told in job.summaries.items() if told[1])
        if what in ("letters", "chosen"):
            pages = {"ordinals": tuple(ordinals), "batches": tuple(batches), "summary": number % 2 == 0}
            chosen = dataclasses.replace(chosen, what="pages", **pages)  # type: ignore[arg-type]
        self.make(chosen)

    @precondition(lambda self: self._made)
    @rule(number=pick, count=st.sampled_from((1, 1, 4, 12)))
    def repeat(self, number: int, count: int) -> None:
        """A reply was lost, or a process slept: a call that was made once is made again, or some in a row are."""
        first = number % len(self._made)
        for call in self._made[first : first + count]:
            self.make(call)
            self._made.pop()

    @rule(
        what=st.sampled_from(("come", "go", "half go", "cancel", "cancel", "nonsense")),
        ref=ref,
        fact=fact,
        size=st.integers(1, 3),
        narrate=st.booleans(),
    )
    def happen(self, what: str, ref: str, fact: type[Fact], size: int, narrate: bool) -> None:
        """A document comes, its id may be taken; one goes, or is cancelled; an entry that is no fact is read."""
        match what:
            case "come":
                self.submit(ref, size, narrate, chosen=not narrate, same=size != 2)
            case "cancel":
                self.make(calls.Cancel(worker="gateway", ref=ref))
            case "nonsense":
                id_ = self._run(self._redis.xadd(fact.stream, {"job": ref}))
                self.state.garbage.add(id_)
                self.make(calls.Malformed(worker="w1", fact=fact, id=id_))
            case _ if ref in self.state.jobs:
                self.expire(ref, wholly=what == "go")

    def expire(self, ref: str, *, wholly: bool) -> None:
        """A job's keys are gone, or its hash alone; its entries are still there."""
        run = self.state.jobs.pop(ref).run
        self._made = [  # its submission is not repeated so late
            call for call in self._made if not (isinstance(call, calls.Submit) and call.submission.run == run)
        ]
        if wholly:
            self.state.crashes.pop(ref, None)
            rest = (keys.read, keys.gaps, keys.rendered, keys.batches, keys.gates, keys.crashes)
            self._run(self._redis.delete(*(key(ref) for key in rest)))
        self._run(self._redis.delete(keys.job(ref)))
        self.check()

"""Whether what `release` moved is what it may move, and all that it must; then the model follows it."""

from __future__ import annotations

from collections import Counter

from shared.events import BatchRequested, Fact, PageRequested
from tests.model.seen import Seen
from tests.model.state import Held, State

FEWEST_PAGES = 4
"""So many pages wait in the stream if so many are there, whatever the pace."""


def follow(state: State, before: Seen, after: Seen) -> None:
    """Give the new entries their ids, and take what release moved from where it waited. Raises AssertionError."""
    moved = _new(state, after)
    queued = 0
    for fact in moved:
        stream = fact.stream
        if state.deferred[stream].get(fact.unit) and state.bodies[stream].get(fact.unit) == fact:
            _take(state, fact, deferred=True)
        elif isinstance(fact, PageRequested):
            assert fact.unit in state.queue, f"{fact} was not ready"
            assert state.bodies[stream][fact.unit] == fact
            _take(state, fact, deferred=False)
            queued += 1
        else:
            assert isinstance(fact, BatchRequested), f"{fact} was moved, and had not waited"
            ring = state.rings[fact.job]
            assert ring.run == fact.run
            assert ring.batches.pop(0) == fact.batch, "batches are rendered in order"
            if not ring.batches:
                del state.rings[fact.job]
    due = {stream: any(units.values()) for stream, units in state.deferred.items()}
    if queued:
        assert not due[PageRequested.stream], "a page that is due goes before a new one"
        _fair(state, before, after, moved)
    _as_many_as_may(state, before, after, due)
    state.born.clear()
    state.released = False


def _new(state: State, after: Seen) -> list[Fact]:
    """What has come into the streams by release; the model's streams take it all in."""
    moved: list[Fact] = []
    for stream, held in state.streams.items():
        fresh = [(id_, entry.fact) for id_, entry in after.streams[stream].items() if id_ not in held]
        for id_, fact in fresh:
            held[id_] = Held(fact)
            if isinstance(fact, PageRequested):
                state.named[fact.unit] = id_
        born = [fact for fact in state.born if fact.stream == stream]
        missing = Counter(born) - Counter(fact for _, fact in fresh)
        assert not missing, f"{stream}: never told: {list(missing)}"
        moved += (Counter(fact for _, fact in fresh) - Counter(born)).elements()
    return moved


def _take(state: State, fact: Fact, *, deferred: bool) -> None:
    if deferred:
        del state.deferred[fact.stream][fact.unit]
    else:
        state.queue.discard(fact.unit)
    del state.bodies[fact.stream][fact.unit]


def _fair(state: State, before: Seen, after: Seen, moved: list[Fact]) -> None:
    """Those that had waited and moved were before those that had waited and stayed."""
    left = [before.queue[unit] for unit in state.queue if unit in before.queue]
    went = [before.queue[fact.unit] for fact in moved if fact.unit in before.queue and fact.unit not in after.queue]
    assert not left or not went or max(went) <= min(left), "a page was released out of turn"


def _as_many_as_may(state: State, before: Seen, after: Seen, due: dict[str, bool]) -> None:
    waited = {stream: sum(held.owner is None for held in before.streams[stream].values()) for stream in before.streams}
    for stream, most in (
        (PageRequested.stream, max(FEWEST_PAGES, after.rate / 2)),
        (BatchRequested.stream, state.renderers + 1),
    ):
        own = sum(fact.stream == stream for fact in state.born)
        assert state.waiting(stream) <= max(waited[stream] + own, most), f"too much waits in {stream}"
    if state.released:
        pages = state.waiting(PageRequested.stream)
        assert pages >= FEWEST_PAGES or not (state.queue or due[PageRequested.stream]), "pages wait for no reason"
        batches = state.waiting(BatchRequested.stream)
        assert batches > state.renderers or not (state.rings or due[BatchRequested.stream]), "batches likewise"
        assert not any(due[stream] for stream in due if stream not in (PageRequested.stream, BatchRequested.stream))

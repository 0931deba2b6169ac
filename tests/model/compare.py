"""The model beside the server: every difference, as a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.seen import Seen, SeenJob
from tests.model.state import STREAMS, Job, State


def differences(state: State, seen: Seen) -> list[str]:
    """Empty where the server holds what the model says."""
    found = [_told(what, says, is_) for what, says, is_ in _of_fleet(state, seen) if says != is_]
    for ref, job in state.jobs.items():
        there = seen.jobs.get(ref)
        found += [f"{ref}: {line}" for line in (_of_job(job, there) if there else ["it is not there"])]
    return found + [f"{ref} should not be there" for ref in set(seen.jobs) - set(state.jobs)]


def _of_fleet(state: State, seen: Seen) -> Iterator[tuple[str, object, object]]:
    for stream in STREAMS:
        yield f"the entries of {stream}", state.streams[stream], seen.streams[stream]
        yield f"the dead letters of {stream}", state.dead[stream], seen.dead[stream]
        yield f"what is deferred of {stream}", set(state.deferred[stream]), set(seen.deferred[stream])
        yield f"the bodies of {stream}", state.bodies[stream], seen.bodies[stream]
    yield "the garbage", state.garbage, set().union(*seen.garbage.values())
    yield "the queue", state.queue, set(seen.queue)
    yield "the pages' entries by name", state.named, seen.at
    yield "what is to be rendered", state.rings, seen.rings


def _of_job(job: Job, seen: SeenJob) -> Iterator[str]:
    gaps = {ordinal: gap["reason"] for ordinal, gap in seen.gaps.items()}
    read = {ordinal: record["blob"] for ordinal, record in seen.read.items()}
    pages = {ordinal: record["page"] for ordinal, record in {**seen.read, **seen.gaps, **seen.rendered}.items()}
    compared: dict[str, tuple[object, object]] = {
        "run": (job.run, seen.fields["run"]),
        "rev": (job.rev, seen.number("rev")),
        "status": (job.status, seen.fields["status"]),
        "a reason": (job.status in ("partial", "failed"), bool(seen.fields.get("reason"))),
        "an end": (job.ended, seen.number("ended_ms") > 0),
        "planned": (job.planned, "plan" in seen.gates),
        "pages": (job.pages, seen.number("pages")),
        "batches": (job.batches, seen.number("batches")),
        "rendered": (job.rendered, {ordinal: record["image"] for ordinal, record in seen.rendered.items()}),
        "read": (job.read, read),
        "gaps": (job.gaps, gaps),
        "labels": ({ordinal: job.page(ordinal) for ordinal in pages}, pages),
        "summaries": (job.summaries, {b: (s["blob"], s["failed"]) for b, s in seen.summaries.items()}),
        "calls": (job.calls, seen.number("calls")),
        "summary": (job.summary, seen.fields.get("summary", "")),
        "audio": (job.audio, seen.fields.get("audio", "none")),
    }
    yield from (_told(what, says, is_) for what, (says, is_) in compared.items() if says != is_)


def _told(what: str, says: object, is_: object) -> str:
    return f"{what}: the model says {says}, the server {is_}"

"""Every Redis key, with its type and lifetime. Names are written here and in `shared/events.py`, nowhere else.

Ledger scripts touch the fleet's keys and one job's keys. A script names those that it touches in its header; they come
to it in KEYS, and it reads them by name (`K.queue`). Keys of the last group have slots of their own and are never
touched by ledger scripts.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.events import FACTS, PageRequested

# The fleet's -----------------------------------------------------------------------------------------------------

PAGES_QUEUE = "pages.queue"
"""ZSET unit -> start tag: pages that are ready and wait for their turn (fair release)."""
PAGES_BODIES = "pages.bodies"
"""HASH unit -> JSON: the fact of each page that waits in the queue or is deferred."""
PAGES_AT = "pages.at"
"""HASH unit -> entry id: pages that were released and have not ended, so that a cancel finds them by name."""
PAGES_READY = "pages.ready"
"""HASH job -> rendered pages that have not ended: bounds how far rendering runs ahead of reading."""
BATCHES_QUEUE = "batches.queue"
"""ZSET job -> start tag: jobs with batches that have not been rendered, in fair order."""
BATCHES_BODIES = "batches.bodies"
"""HASH job -> JSON {run, next, last, weight, size}: the batches of that job that are still to be requested."""
TAGS = "tags"
"""HASH job -> last start tag in the page queue; goes with the job's last page."""
CLOCK = "clock"
"""HASH: `v` (tag last released), `vb` (the same of batches), `rate`, `rate_ms` (pages ended a second), `renderers`,
`retention_ms` (how long ended jobs are kept; 0 or absent: for ever)."""
STARTED = "started"
"""HASH job -> ms of its first released page; goes with the job's end (then it is in the job's hash)."""
ACTIVE = "active"
"""ZSET job -> ms of submit: jobs that have not ended, for the keeper."""
ENDED = "ended"
"""ZSET `job run upload` -> ms when the job's keys expire: ended jobs whose blobs the keeper removes then."""
DEATHS = "deaths"
"""ZSET worker -> ms: workers that died with something in hand; forgotten after ten minutes."""


def deferred(stream: str) -> str:
    """ZSET unit -> due ms: entries that wait for another try, out of the stream."""
    return f"{stream}.deferred"


def bodies(stream: str) -> str:
    """HASH unit -> JSON: the fields of deferred entries (pages share theirs with the queue)."""
    return PAGES_BODIES if stream == PageRequested.stream else f"{stream}.bodies"


def dead(stream: str) -> str:
    """STREAM of entries that were given up, with reason, error, attempts, worker. Capped."""
    return f"{stream}.dead"


# A job's ---------------------------------------------------------------------------------------------------------


def job(ref: str) -> str:
    """HASH: see `jobs.Job`. It and the others expire RETENTION_DAYS after the job and its narration have ended."""
    return f"job:{ref}"


def read(ref: str) -> str:
    """HASH ordinal -> JSON {page, blob, cached, blank}: pages that were read. HSETNX on it is the page's gate."""
    return f"job:{ref}:read"


def gaps(ref: str) -> str:
    """HASH ordinal -> JSON {page, reason}: pages that failed."""
    return f"job:{ref}:gaps"


def rendered(ref: str) -> str:
    """HASH ordinal -> JSON {page, image, text}: where each page's image lies. HSETNX on it gates the queueing."""
    return f"job:{ref}:rendered"


def batches(ref: str) -> str:
    """HASH: `ended:<batch>` pages that have ended, `rev:<batch>`, `summary:<batch>` JSON {blob} or {failed}."""
    return f"job:{ref}:batches"


def gates(ref: str) -> str:
    """HASH of what happened once: `plan`, `batch:<batch>:<rev>`, `summary:<rev>`, `audio:<rev>`."""
    return f"job:{ref}:gates"


def crashes(ref: str) -> str:
    """HASH: `<unit>` workers that died with it, `<unit>|<worker>` which. Goes with the job's end."""
    return f"job:{ref}:crashes"


def by_name(name: str, *, ref: str, stream: str) -> str:
    """The key that a script calls `K[name]`, for this job and this stream. Raises KeyError for an unknown name."""
    if name in _FLEET:
        return _FLEET[name]
    if name in _OF_JOB:
        return _OF_JOB[name](ref)
    return _OF_STREAM[name](stream)


_FLEET: dict[str, str] = {
    "queue": PAGES_QUEUE,
    "at": PAGES_AT,
    "ready": PAGES_READY,
    "batches_queue": BATCHES_QUEUE,
    "batches_bodies": BATCHES_BODIES,
    "tags": TAGS,
    "clock": CLOCK,
    "started": STARTED,
    "active": ACTIVE,
    "deaths": DEATHS,
    "ended": ENDED,
}
for _fact in FACTS:
    _FLEET[_fact.stream] = _fact.stream
    _FLEET[f"{_fact.stream}.dead"] = dead(_fact.stream)
    _FLEET[f"{_fact.stream}.deferred"] = deferred(_fact.stream)
    _FLEET[f"{_fact.stream}.bodies"] = bodies(_fact.stream)

_OF_JOB: dict[str, Callable[[str], str]] = {
    "job": job,
    "read": read,
    "gaps": gaps,
    "rendered": rendered,
    "batches": batches,
    "gates": gates,
    "crashes": crashes,
}

_OF_STREAM: dict[str, Callable[[str], str]] = {
    "stream": str,
    "deferred": deferred,
    "bodies": bodies,
    "dead": dead,
}


# Slots of their own ----------------------------------------------------------------------------------------------

CONTROL = "control"
"""STREAM, capped: cancels, as `action job run`; every process tails it."""
LIVE = "live"
"""ZSET worker -> ms of its last sign of life: the index of `live(worker)`; the keeper removes the old."""

DURABILITY_PROBE = "durability.probe"
"""STRING, a minute: written to find out whether the server waits for its disk when asked."""
FITNESS_PROBE = "fitness.probe"
"""STRING, a minute: what the server lets us do is tried on it."""


def live(worker: str) -> str:
    """STRING JSON of a worker's slots and port; expires when it gives no sign of life."""
    return f"live:{worker}"


def suspects(worker: str) -> str:
    """SET of units: the suspects that this worker runs now; outlives the worker by a day, to be read at reclaim."""
    return f"suspects:{worker}"


def cache(digest: str) -> str:
    """STRING JSON: {claim, worker} while a question is being asked, for the time of a lease; then, for CACHE_TTL_S,
    {blob, unit, usage}: where its answer lies, and what it cost whom."""
    return f"cache:{digest}"


def limiter(model: str) -> str:
    """HASH: what the fleet may still ask of this model, and whether it is paused. Expires after an idle hour."""
    return f"limiter:{model}"


def quota_rate(key: str) -> str:
    """STRING ms, a fraction too: when this API key's burst would be full again (GCRA); expires then."""
    return f"quota:{key}:rate"


def quota_jobs(key: str) -> str:
    """ZSET job -> ms of submit: jobs of this API key that had not ended when they were last looked at. A month."""
    return f"quota:{key}:jobs"


def quota_pages(key: str) -> str:
    """HASH: `day` (since 1970), `used` pages in it, `r:<run>` -> JSON {job, pages, day, ms}: reservations. Two days."""
    return f"quota:{key}:pages"

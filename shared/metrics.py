"""Every metric of the fleet, named by Prometheus' rules and explained; labels are bounded, label sets exist at once."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from shared.events import FACTS

STREAMS = tuple(fact.stream for fact in FACTS)
ENDINGS = ("recorded", "duplicate", "gone", "deferred", "failed", "given_back", "lost")
CACHED = ("page", "summary")
CACHE_RESULTS = ("hit", "miss", "busy")
MODEL_RESULTS = ("ok", "busy", "down", "stop", "refused", "unreadable", "cancelled")

ENTRIES = Counter("quire_entries_total", "Entries that left this worker's hands, by how", ["stream", "ending"])
WORK_SECONDS = Histogram(
    "quire_work_seconds",
    "From an entry's start to its recorded outcome",
    ["stream"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
SLOTS = Gauge("quire_slots", "Entries that this worker may hold at once", ["stream"])
BUSY = Gauge("quire_slots_busy", "Entries that this worker holds", ["stream"])
RECLAIMED = Counter("quire_reclaimed_total", "Entries taken over from a worker whose lease ran out", ["stream"])
RENEWALS_FAILED = Counter(
    "quire_lease_renewals_failed_total", "Lease renewals that the server did not answer", ["stream"]
)

MODEL_CALLS = Counter("quire_model_calls_total", "Calls to the model, by result", ["result"])
MODEL_SECONDS = Histogram(
    "quire_model_call_seconds",
    "Duration of a call to the model",
    buckets=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)  # OpenTelemetry GenAI semantic conventions, gen_ai.client.operation.duration
MODEL_TOKENS = Counter("quire_model_tokens_total", "Tokens, as the server counted them", ["direction"])
CACHE = Counter(
    "quire_cache_total", "Questions looked up in the cache; busy: another was asking it", ["what", "result"]
)

BACKLOG = Gauge("quire_stream_entries", "Entries of a work stream: waiting and in hand", ["stream"])
IN_HAND = Gauge("quire_stream_entries_in_hand", "Entries of a work stream that a worker holds", ["stream"])
DEFERRED = Gauge("quire_stream_entries_deferred", "Entries that wait for another try", ["stream"])
OLDEST = Gauge("quire_stream_oldest_seconds", "Age of a work stream's oldest entry", ["stream"])
DEAD = Gauge("quire_stream_dead_letters", "Entries of a dead letter stream", ["stream"])
QUEUED = Gauge("quire_pages_queued", "Pages that are ready and wait for their turn")

for _stream in STREAMS:
    for _ending in ENDINGS:
        ENTRIES.labels(_stream, _ending)
    for _metric in (
        WORK_SECONDS,
        SLOTS,
        BUSY,
        RECLAIMED,
        RENEWALS_FAILED,
        BACKLOG,
        IN_HAND,
        DEFERRED,
        OLDEST,
        DEAD,
    ):
        _metric.labels(_stream)
for _result in MODEL_RESULTS:
    MODEL_CALLS.labels(_result)
for _direction in ("in", "out"):
    MODEL_TOKENS.labels(_direction)
for _what in CACHED:
    for _result in CACHE_RESULTS:
        CACHE.labels(_what, _result)

"""What scenarios have in common: a fleet on a stand-in for the model, and the figures that every run has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.fleet import Fleet, up
from benchmarks.meter import Meter
from benchmarks.parameters import MODEL_LATENCY_S, PAGE_CONCURRENCY, PAGE_WORKERS, SPLITTERS
from benchmarks.runs import Run
from tests.standin import process as standin
from tests.standin.behaviour import Behaviour
from tests.standin.process import Remote

_MB = 1_000_000


@asynccontextmanager
async def on_standin(
    workshop: Path, *, latency_s: float = MODEL_LATENCY_S, slots: int = PAGE_CONCURRENCY, **settings: str
) -> AsyncIterator[tuple[Fleet, Remote]]:
    """A fleet whose model is a stand-in in a process of its own; `settings`: further variables of its environment."""
    async with standin.start(Behaviour(latency_s=latency_s)) as model:
        told = {
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "stand-in",
            "PAGE_CONCURRENCY": str(slots),
            **settings,
        }
        flags = ("--page-workers", str(PAGE_WORKERS), "--splitters", str(SPLITTERS))
        async with up(workshop, *flags, settings=told) as fleet:
            yield fleet, model


async def shown(figures: dict[str, float], fleet: Fleet, meter: Meter, pages: int) -> Run:
    """A run's figures, with those that every scenario has."""
    figures["up to ready, s"] = fleet.ready_s
    figures["memory of Quire before, MB"] = meter.quire_before_bytes / _MB
    figures["memory of Quire at its peak, MB"] = meter.quire_bytes / _MB
    figures["CPU of others on these cores, s"] = meter.elsewhere_s
    return Run(
        pages=pages,
        figures=figures,
        usage=meter.usage,
        quire_bytes=meter.quire_bytes,
        seconds=meter.seconds,
        server=await fleet.server(),
    )

"""GET /health: workers and dependencies, with a sentence for each that ails."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence

from obstore.exceptions import BaseError
from redis.exceptions import RedisError

from services.gateway import api
from services.gateway.configuration import GatewaySettings
from shared import blobs as keys
from shared import bus, fitness, fleet, pauses
from shared.blobs import Blobs
from shared.durability import SAYS, Mode
from shared.events import FACTS
from shared.pauses import LimitStats
from shared.service import App

PIPELINE = tuple(dict.fromkeys(fact.group for fact in FACTS))
"""Services without which no document gets anywhere."""

FEWEST_FREE_BYTES = 10_000_000
"""Less is a full disk: a page image is stored whole or not at all."""


async def blob_ailments(blobs: Blobs) -> list[str]:
    """A sentence if the blob store can't be written and emptied again, or has no room for a document."""
    key = keys.upload("probes", uuid.uuid4().hex)
    try:
        free = shutil.disk_usage(blobs.root).free
        if free < FEWEST_FREE_BYTES:
            return [f"The blob store is full: {free / 1e6:.1f} MB are free; what is being read waits for room."]
        await blobs.put(key, b"probe")
        await blobs.delete([key])
    except (OSError, BaseError) as error:
        return [f"The blob store cannot be written: {keys.first_line(error)}"]
    return []


async def models(app: App[GatewaySettings]) -> list[str]:
    """Every model that somebody calls, or that is named in the settings."""
    called = (await pauses.by_service(app.redis)).values()
    return list(dict.fromkeys([*app.settings.models, *(model for names in called for model in names)]))


async def health(app: App[GatewaySettings], mode: Mode, *, more: Sequence[str] = ()) -> api.Health:
    """Ask everything once. `more`: sentences on what ails besides."""
    blobs = await blob_ailments(app.blobs)
    redis = await bus.ailments(app.redis)
    if redis:
        return verdict(mode, redis=redis, blobs=blobs, warnings=more, workers={}, models=[])
    try:
        return verdict(
            mode,
            redis=[],
            blobs=blobs,
            warnings=[*await fitness.warnings(app.redis), *more],
            workers={service.service: service.workers for service in await fleet.services(app.redis)},
            models=await pauses.limits(app.redis, await models(app)),
        )
    except RedisError as error:
        return verdict(mode, redis=[f"Redis fails: {error}"], blobs=blobs, warnings=more, workers={}, models=[])


def verdict(
    mode: Mode,
    *,
    redis: Sequence[str],
    blobs: Sequence[str],
    warnings: Sequence[str],
    workers: Mapping[str, int],
    models: Sequence[LimitStats],
) -> api.Health:
    """What it all means. Pure. Unhealthy: nothing can be accepted; degraded: it can, and something ails."""
    missing = [] if redis else [service for service in PIPELINE if not workers.get(service)]
    ailing = [model for model in models if model.state in ("paused", "down", "stopped")]
    problems = [
        *redis,
        *blobs,
        *(f"No {service} is alive: what it has to do waits until one is started." for service in missing),
        *(f"The model {model.model} is {model.state}: {model.why or 'no reason is known'}" for model in ailing),
        *warnings,
    ]
    return api.Health(
        status="unhealthy" if redis or blobs else "degraded" if problems else "healthy",
        workers={**({} if redis else dict.fromkeys(PIPELINE, 0)), **workers},
        dependencies=api.Dependencies(
            redis="down" if redis else "up",
            blobs="down" if blobs else "up",
            model=_worst([model.state for model in models]),
        ),
        durability=SAYS[mode],
        problems=problems,
    )


def _worst(states: Sequence[str]) -> api.ModelState:
    """Of all models in use; `unknown` where none was asked lately."""
    for state in ("stopped", "down", "paused"):
        if state in states:
            return state
    return "up" if "open" in states else "unknown"

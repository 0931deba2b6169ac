"""Starts this machine's fleet and keeps it running as long as a block lasts: the common part of `up` and `demo`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from redis.exceptions import RedisError

from cli import datafolder, fleet, supervisor
from cli.child import Tell
from cli.datafolder import Folder, Process, Running
from cli.errors import CommandError
from cli.fleet import Options
from cli.lifeline import undertaker
from cli.signals import Signals
from cli.supervisor import Fleet
from shared import bus, fitness, settings
from shared.settings import Settings, SettingsError

_MARGIN_S = 10.0  # on top of GRACE_S: a service gives back what it could not finish, and leaves


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet whose processes are ready."""

    api_url: str
    processes: int


def tell(sentence: str) -> None:
    """A sentence on standard error; nobody may be there to read it."""
    with contextlib.suppress(OSError):
        print(f"quire: {sentence}", file=sys.stderr, flush=True)


@asynccontextmanager
async def here(
    options: Options,
    folder: Folder,
    signals: Signals,
    *,
    any_port: bool = False,
    logs: bool = False,
    tell: Tell = tell,
    progress: Callable[[int, int], None] = lambda _ready, _all: None,
    limit_s: float | None = None,
) -> AsyncIterator[Started | None]:
    """Run a fleet in this data folder; yields when it is ready, None when a signal came before.

    `any_port`: where 8080 is taken and no other port was asked for, take a free one. `logs`: processes write to files
    in the folder, else to our standard error. Raises CommandError when it can't be started (within `limit_s`).
    """
    environ = dict(os.environ)
    if not logs and sys.stderr.isatty():
        environ["LOG_FORMAT"] = environ.get("LOG_FORMAT") or "text"
    try:
        values = settings.load(Settings, environ)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    async with datafolder.claimed(folder) as lock:
        port = fleet.gateway_port(options, fleet.reachable(values.host), any_will_do=any_port)
        if given := environ.get("REDIS_URL"):
            await _check(given)
        plan = fleet.plan(options, folder, environ, port=port, lock=lock)
        for note in plan.notes:
            tell(note)
        with undertaker(datafolder.PROJECT, plan.specs[-1].env, inherit=(lock,)) as lifeline:
            async with supervisor.running(
                plan.specs,
                signals,
                grace_s=values.grace_s + _MARGIN_S,
                lifeline=lifeline,
                tell=tell,
                logs=folder.logs if logs else None,
            ) as running:
                if await running.ready(signals, tell=tell, progress=progress, limit_s=limit_s):
                    running.changed = lambda: folder.publish(_described(plan, running))
                    running.changed()
                    yield Started(api_url=plan.api_url, processes=len(plan.specs))
                else:
                    yield None
                running.changed = folder.withdraw
                running.changed()


async def _check(redis_url: str) -> None:
    """One sentence, where each service would say the same. Raises CommandError for a server that can't be used.

    One that does not answer is waited for by the services: it may be starting too.
    """
    try:
        async with bus.connect(redis_url) as redis:
            await fitness.check(redis)
    except bus.RedisUnfit as error:
        raise CommandError(str(error)) from error
    except RedisError as error:
        tell(f"waiting for the Redis of REDIS_URL, which does not answer: {error}")


def _described(plan: fleet.Plan, running: Fleet) -> Running:
    return Running(
        pid=os.getpid(),
        api_url=plan.api_url,
        redis_url=plan.redis_url,
        processes=[
            Process(
                name=child.spec.name,
                service=child.spec.service,
                pid=child.pid,
                port=child.spec.port,
                restarts=child.restarts,
            )
            for child in running.children
        ],
    )

"""Starts a service: settings, logs, event loop, signals, Redis, health; then its own main.

`process` is the part that any program of the fleet needs; `run` adds what a service on the streams needs. A service's
`__main__` is settings, wiring and one call of these.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, NoReturn, TypeVar

import msgspec
import uvloop
from aiohttp import web
from redis.asyncio import Redis

from shared import bus, fitness, health, logs, pauses, settings
from shared.blobs import Blobs, BlobsError
from shared.consumer import Stage, consume
from shared.control import Control
from shared.fleet import Liveness
from shared.jobs import Jobs
from shared.ledger import Ledger
from shared.limiter import Limiter
from shared.settings import Settings, SettingsError

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Settings)


class App(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """What a service's main gets."""

    name: str
    worker: str
    """This process in the consumer groups: host and boot id."""
    settings: S
    stop: asyncio.Event
    """Set by SIGTERM or SIGINT: finish what is in hand, then return."""
    redis: Redis
    blobs: Blobs
    jobs: Jobs
    ledger: Ledger
    control: Control
    liveness: Liveness
    limiters: list[Limiter] = []
    """Of the models that this process calls."""

    async def consume(self, *stages: Stage) -> None:
        """Read these stages' streams until `stop`; returns when everything in hand is recorded or given back."""
        await consume(stages, self)

    async def ailments(self) -> list[str]:
        """A sentence for each dependency that does not answer, and for each model that refuses this process' key.

        With a key that was refused to itself a process is not ready, so that a roll-out of a wrong key stops at its
        first worker. What was refused to others says nothing of it: a roll-out that brings the right key must not stop.
        """
        refused = await pauses.told(self.redis, [limiter.model for limiter in self.limiters if limiter.refused])
        stopped = [stats.pause for stats in refused if stats.state == "stopped"]
        return [*await bus.ailments(self.redis), *self.liveness.ailments(), *stopped]

    async def notices(self) -> list[str]:
        """A sentence for each model that the fleet waits for; its workers are ready: no restart would mend that."""
        return [stats.pause for stats in await pauses.told(self.redis, [limiter.model for limiter in self.limiters])]

    def calls(self, limiter: Limiter) -> None:
        """Tell the fleet that this process calls the model of this limiter."""
        self.limiters.append(limiter)
        self.liveness.models.append(limiter.model)


def process(name: str, kind: type[S], main: Callable[[S, asyncio.Event], Awaitable[None]]) -> NoReturn:
    """Read settings, set up logs, run `main(settings, stop)` on uvloop; exits 0 when it returns after a signal.

    The first SIGTERM or SIGINT sets `stop`; a second one ends the process at once. What a person has to mend (a wrong
    setting, an unfit Redis, a port that is taken) is told in a sentence, with exit code 2.
    """
    try:
        values = settings.load(kind)
        logs.set_up(name, level=values.log_level, style=values.log_format)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    failed = False
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_main(values, main))
        except* (SettingsError, bus.RedisUnfit, BlobsError, OSError) as group:
            for reason in _leaves(group):
                log.error("cannot go on: %s", reason, extra={"action": "gave_up"})  # noqa: TRY400 - a sentence is enough
            failed = True
    sys.exit(2 if failed else 0)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of the groups in which task groups raise them."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def _main(values: S, main: Callable[[S, asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            log.warning("second signal: ending at once", extra={"action": "stop_forced"})
            os._exit(1)
        log.info("stopping", extra={"action": "stop"})
        stop.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, on_signal)
    await main(values, stop)


def run(
    name: str,
    kind: type[S],
    main: Callable[[App[S]], Awaitable[None]],
    *,
    own_port: bool = False,
) -> NoReturn:
    """Start a service on the streams. With `own_port` the service serves `health.routes` itself (the gateway)."""

    async def with_redis(values: S, stop: asyncio.Event) -> None:
        worker = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        async with bus.connect(values.redis_url) as redis:
            await fitness.wait_until_fit(redis, stop)
            ledger = Ledger(redis, worker=worker)
            await bus.patiently(ledger.prepare, stop)
            if stop.is_set():
                return
            app = App(
                name=name,
                worker=worker,
                settings=values,
                stop=stop,
                redis=redis,
                blobs=Blobs(values.blob_url),
                jobs=Jobs(redis),
                ledger=ledger,
                control=Control(values.redis_url),
                liveness=Liveness(redis, service=name, worker=worker, lease_s=values.lease_s),
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(app.control.watch(), name="control")
                group.create_task(app.liveness.beat(), name="liveness")
                try:
                    await _serve(app, main, own_port=own_port)
                finally:
                    app.control.close()
                    await app.liveness.leave()

    process(name, kind, with_redis)


async def _serve(app: App[S], main: Callable[[App[S]], Awaitable[None]], *, own_port: bool) -> None:
    if own_port:
        await main(app)
        return
    web_app = web.Application()
    web_app.add_routes(health.routes(app.ailments, notices=app.notices))
    async with health.serve(web_app, host=app.settings.host, port=app.settings.port) as port:
        app.liveness.port = port
        log.info("started", extra={"action": "start", "port": port, "worker": app.worker})
        await main(app)
    log.info("stopped", extra={"action": "stopped"})

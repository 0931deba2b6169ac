"""`./quire up`: the fleet on this machine, until a signal comes."""

from __future__ import annotations

import os
import time

from cli import datafolder, running, signals
from cli.fleet import Options


async def up(options: Options) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP, then drain. Exits 0 when everything has ended as asked."""
    folder = datafolder.find(os.environ)
    started = time.monotonic()
    with signals.caught() as caught:
        async with running.here(options, folder, caught) as fleet:
            if fleet:
                took_s = time.monotonic() - started
                print(
                    f"ready: {fleet.api_url} ({fleet.processes} processes after {took_s:.1f} s; data in {folder.path}; "
                    "ctrl-C drains and ends it)",
                    flush=True,
                )
            await caught.stop.wait()
            running.tell("draining; a second signal ends everything at once")
        return 130 if caught.force.is_set() else 0

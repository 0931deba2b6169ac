"""python -m services.gateway"""

from __future__ import annotations

import logging
from functools import partial

from services.gateway.configuration import GatewaySettings, check_access
from services.gateway.draining import InHand
from services.gateway.routes import application
from shared import bus, durability, health
from shared.service import App, run

log = logging.getLogger(__name__)


async def main(app: App[GatewaySettings]) -> None:
    settings = app.settings
    check_access(settings)
    in_hand = InHand(app.stop)
    mode = await bus.patiently(partial(durability.probe, app.redis), app.stop)
    if mode is None:
        return
    async with health.serve(application(app, in_hand, mode), host=settings.host, port=settings.port) as port:
        app.liveness.port = port
        log.info("started", extra={"action": "start", "port": port, "durability": mode})
        await app.stop.wait()
        log.info("draining", extra={"action": "drain", "requests": in_hand.count})
        await in_hand.ended(within_s=settings.grace_s)  # an upload that is cut off then leaves nothing behind
    log.info("stopped", extra={"action": "stopped"})


if __name__ == "__main__":
    run("gateway", GatewaySettings, main, own_port=True)

"""python -m services.gateway"""

from __future__ import annotations

import logging

from services.gateway.configuration import GatewaySettings, check_access
from services.gateway.routes import application
from shared import health
from shared.service import App, run

log = logging.getLogger(__name__)


async def main(app: App[GatewaySettings]) -> None:
    settings = app.settings
    check_access(settings)
    # An upload that is under way at SIGTERM may end inside the grace; what is cut off then leaves nothing behind.
    async with health.serve(
        application(app), host=settings.host, port=settings.port, shutdown_s=settings.grace_s
    ) as port:
        app.liveness.port = port
        log.info("started", extra={"action": "start", "port": port, "worker": app.worker})
        await app.stop.wait()
    log.info("stopped", extra={"action": "stopped"})


if __name__ == "__main__":
    run("gateway", GatewaySettings, main, own_port=True)

"""`./quire stats`: where the fleet's processes are, and what the gateway says of the work."""

from __future__ import annotations

import os

import msgspec

from cli import client, datafolder


async def stats(*, url: str | None, as_json: bool) -> int:
    """Print the processes of this machine's fleet and /batch-stats; `as_json`: `{"fleet": ..., "stats": ...}`."""
    fleet = datafolder.find(os.environ).running()
    async with client.connected(client.find(url, os.environ)) as gateway:
        answer = await gateway.stats()
    if as_json:
        print(msgspec.json.encode({"fleet": fleet, "stats": msgspec.Raw(answer)}).decode())
        return 0
    return 0

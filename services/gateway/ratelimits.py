"""How much of its limits a key has used, told as draft-ietf-httpapi-ratelimit-headers has it since its number 08."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """One limit and what is left of it. `window_s` None: no limit per time. `reset_s`: until all of it is free."""

    policy: str
    quota: int
    left: int
    unit: str = "requests"
    window_s: float | None = None
    reset_s: float | None = None

    def says_policy(self) -> str:
        window = "" if self.window_s is None else f";w={math.ceil(self.window_s)}"
        unit = "" if self.unit == "requests" else f';qu="{self.unit}"'
        return f'"{self.policy}";q={self.quota}{unit}{window}'

    def says_left(self) -> str:
        reset = "" if self.reset_s is None else f";t={math.ceil(self.reset_s)}"
        return f'"{self.policy}";r={self.left}{reset}'


METERS = web.RequestKey("METERS", dict[str, Meter])


def show(request: web.Request, meter: Meter) -> None:
    """Let the answer tell this meter, in place of what it showed before."""
    if METERS not in request:
        request[METERS] = {}
    request[METERS][meter.policy] = meter


def headers(request: web.Request) -> dict[str, str]:
    """RateLimit-Policy and RateLimit; empty where no limit applies."""
    if METERS not in request:
        return {}
    meters = request[METERS].values()
    return {
        "RateLimit-Policy": ", ".join(meter.says_policy() for meter in meters),
        "RateLimit": ", ".join(meter.says_left() for meter in meters),
    }

"""Starts a service in which traps can be set: `python -m tests.faults.launch services.page_worker --traps FOLDER`.

The functions of `tests/faults/points.py` are wrapped, then the service runs as `python -m services.page_worker` would.
"""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.faults.points import POINTS, Point
from tests.faults.traps import Traps, suffer

Function = Callable[..., Awaitable[Any]]


def wrap(name: str, point: Point, *, service: str, traps: Traps, redis_port: int) -> None:
    """Put the point into this process. A module of another service is left alone."""
    module, _, path = point.where.partition(":")
    if module.startswith("services.") and not module.startswith(f"services.{service}."):
        return
    owner: Any = importlib.import_module(module)
    *classes, attribute = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    setattr(owner, attribute, _wrapped(getattr(owner, attribute), name, point, service, traps, redis_port))


def _wrapped(real: Function, name: str, point: Point, service: str, traps: Traps, redis_port: int) -> Function:
    async def come_by(told: str) -> None:
        trap = traps.spring(service, name, told) if told else None
        if trap is not None:
            await suffer(trap, redis_port=redis_port)

    @wraps(real)
    async def before(*args: Any, **kwargs: Any) -> Any:
        await come_by(point.told(*args, **kwargs))
        return await real(*args, **kwargs)

    @wraps(real)
    async def after(*args: Any, **kwargs: Any) -> Any:
        result = await real(*args, **kwargs)
        await come_by(point.told(*args, **kwargs, result=result))
        return result

    return before if point.when == "before" else after


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.launch", description=__doc__.splitlines()[0])
    parser.add_argument("module", help="such as services.page_worker")
    parser.add_argument("--traps", type=Path, required=True, help="the folder in which traps are set")
    arguments = parser.parse_args()
    service = arguments.module.removeprefix("services.")
    redis_port = urlsplit(os.environ["REDIS_URL"]).port or 6379
    traps = Traps(arguments.traps)
    for name, point in POINTS.items():
        wrap(name, point, service=service, traps=traps, redis_port=redis_port)
    sys.argv = [arguments.module]
    runpy.run_module(arguments.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

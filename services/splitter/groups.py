"""Works a few items ahead and hands on what is ready in small groups: the first at once, then by number or time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


async def in_groups(
    make: Callable[[Item], Coroutine[Any, Any, Made]],
    items: Iterable[Item],
    *,
    ahead: int,
    most: int,
    within_s: float,
) -> AsyncGenerator[list[Made], None]:
    """Yields groups of what `make` made, in the order in which it was ready.

    `ahead`: items in the works at a time. A group is handed on when it has `most` members, `within_s` after its
    first one, or when nothing is left. Ending it early cancels what is in the works. What `make` raises is raised.
    """
    loop = asyncio.get_running_loop()
    todo = iter(items)
    working: set[asyncio.Task[Made]] = set()
    group: list[Made] = []
    enough, due = 1, 0.0
    try:
        while True:
            working |= {asyncio.create_task(make(item)) for item in islice(todo, ahead - len(working))}
            if not working:
                break
            patience = max(due - loop.time(), 0) if group else None
            done, working = await asyncio.wait(working, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if errors := [error for task in done if (error := task.exception())]:
                raise errors[0]
            if not group:
                due = loop.time() + within_s
            group += [task.result() for task in done]
            if len(group) >= enough or loop.time() >= due:
                yield group
                group, enough = [], most
        if group:
            yield group
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

"""The render processes of this service, as three functions that handlers are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from services.splitter.orders import (
    AnyOrder,
    CountPages,
    Failed,
    Look,
    PageCount,
    Picture,
    RenderPage,
    TakeImage,
)
from services.splitter.process import RenderProcess
from shared.errors import Refused

A = TypeVar("A", PageCount, Picture)


class Rendering:
    """Asks the render process that has the least to do. Methods raise Refused, with a sentence, or RetryLater."""

    def __init__(self, processes: Sequence[RenderProcess]) -> None:
        self._processes = processes

    async def count_pages(self, path: Path) -> int:
        """Pages of a PDF, at least 1."""
        return (await self._ask(CountPages(path=str(path)), PageCount)).pages

    async def render_page(self, path: Path, index: int) -> Picture:
        """Image and text of a PDF's page (0-based)."""
        return await self._ask(RenderPage(path=str(path), index=index), Picture)

    async def take_image(self, path: Path) -> Picture:
        """An image file, made fit for a model; without bytes where it is fit as it is."""
        return await self._ask(TakeImage(path=str(path)), Picture)

    async def _ask(self, order: AnyOrder, kind: type[A]) -> A:
        answer = await min(self._processes, key=lambda process: process.waiting).ask(order)
        if isinstance(answer, Failed):
            raise Refused(answer.why)
        if not isinstance(answer, kind):
            raise TypeError(f"the render process answered {order!r} with a {type(answer).__name__}")
        return answer


@asynccontextmanager
async def rendering(look: Look, *, processes: int, timeout_s: float) -> AsyncIterator[Rendering]:
    """Render processes that run inside the block. `timeout_s`: for one page."""
    members = [RenderProcess(look, timeout_s=timeout_s) for _ in range(processes)]
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(member.keep(), name="render process") for member in members]
        try:
            yield Rendering(members)
        finally:
            for keeper in keepers:
                keeper.cancel()

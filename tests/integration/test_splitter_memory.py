"""The render process does not grow with the document: the way to a far page costs no memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from services.splitter.orders import Look, Picture, RenderPage
from services.splitter.process import RenderProcess
from tests import books

LOOK = Look(dpi=30, quality=80, max_side=400, keep_side=4096, keep_bytes=20_000_000)  # small, so that growth shows
LAST_PAGES = 100
MOST_GROWTH = 1.10

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is read in /proc")


@asynccontextmanager
async def running() -> AsyncIterator[RenderProcess]:
    process = RenderProcess(LOOK, timeout_s=60)
    keeper = asyncio.create_task(process.keep())
    try:
        yield process
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def peak_kb(document: Path, pages: int) -> int:
    """The most memory that a render process ever had by the end of the document's last pages (VmHWM)."""
    async with running() as process:
        pids = set()
        for index in range(pages - LAST_PAGES, pages):
            answer = await process.ask(RenderPage(path=str(document), index=index))
            assert isinstance(answer, Picture)
            assert answer.text
            pids.add(process.pid)
        assert len(pids) == 1, "the peak is that of one process"
        status = Path(f"/proc/{pids.pop()}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


async def test_peak_memory_at_the_end_of_5000_pages_is_within_a_tenth_of_that_at_the_end_of_1000(
    tmp_path: Path,
) -> None:
    few = await peak_kb(books.long_pdf(tmp_path, 1000), 1000)
    many = await peak_kb(books.long_pdf(tmp_path, 5000), 5000)
    assert many <= few * MOST_GROWTH, f"{few} kB at 1,000 pages, {many} kB at 5,000"

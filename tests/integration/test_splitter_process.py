"""The render process: what happens when it dies, hangs, is in nobody's interest any more, or loses its parent.

A named pipe stands for a file that takes its time: whoever opens it waits until the test has written it.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from services.splitter.orders import CountPages, Failed, Look, PageCount, Picture, RenderPage, TakeImage
from services.splitter.process import RenderProcess
from shared.errors import Refused, RetryLater
from tests import pages
from tests.conftest import eventually

LOOK = Look(dpi=30, quality=80, max_side=400, keep_side=4096, keep_bytes=20_000_000)
ROOT = Path(__file__).parents[2]
PARENT = """
import asyncio, msgspec, sys
from services.splitter.orders import Look, TakeImage
from services.splitter.process import RenderProcess

async def main():
    process = RenderProcess(msgspec.json.decode(sys.argv[1], type=Look), timeout_s=60)
    async with asyncio.TaskGroup() as group:
        group.create_task(process.keep())
        group.create_task(process.ask(TakeImage(path=sys.argv[2])))

asyncio.run(main())
"""


@asynccontextmanager
async def running(*, timeout_s: float = 60) -> AsyncIterator[RenderProcess]:
    process = RenderProcess(LOOK, timeout_s=timeout_s)
    keeper = asyncio.create_task(process.keep())
    try:
        yield process
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


@pytest.fixture
async def process() -> AsyncIterator[RenderProcess]:
    async with running() as found:
        await in_service(found)
        yield found


@pytest.fixture
def document(tmp_path: Path) -> str:
    path = tmp_path / "source.pdf"
    path.write_bytes(pages.pdf(3))
    return str(path)


@pytest.fixture
def slow_file(tmp_path: Path) -> str:
    path = tmp_path / "slow"
    os.mkfifo(path)
    return str(path)


async def in_service(process: RenderProcess) -> int:
    """The render process's id, once one is there."""

    async def pid() -> int | None:
        return process.pid

    return await eventually(pid, within_s=60) or 0


async def killed(process: RenderProcess) -> None:
    """Kill the render process; returns when that was noticed, long before there is another."""
    dead = await in_service(process)
    os.kill(dead, signal.SIGKILL)

    async def noticed() -> bool:
        return process.pid != dead

    await eventually(noticed)


@contextmanager
def held(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def being_read(slow_file: str) -> int:
    """A descriptor to write to, once somebody has begun to read. Until it is closed, the reader waits."""

    async def descriptor() -> int | None:
        with suppress(OSError):  # ENXIO: nobody reads yet
            return os.open(slow_file, os.O_WRONLY | os.O_NONBLOCK)
        return None

    found = await eventually(descriptor, until=lambda found: found is not None, within_s=60)
    assert found is not None
    return found


def tiff() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, "TIFF")
    return out.getvalue()


async def test_orders_are_answered_each_with_its_own(process: RenderProcess, document: str) -> None:
    orders = (RenderPage(path=document, index=index) for index in range(3))
    count, *pictures = await asyncio.gather(process.ask(CountPages(path=document)), *map(process.ask, orders))
    assert count == PageCount(pages=3)
    for number, picture in enumerate(pictures, 1):
        assert isinstance(picture, Picture)
        assert pages.said(number, of=3) in picture.text


async def test_what_cannot_be_read_is_answered_with_a_sentence(process: RenderProcess, tmp_path: Path) -> None:
    answer = await process.ask(CountPages(path=str(tmp_path / "none.pdf")))
    assert answer == Failed(why="The uploaded file is no longer in the blob store.")


async def test_what_was_in_hand_of_a_killed_process_is_tried_once_more(
    process: RenderProcess, document: str, slow_file: str
) -> None:
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(process.ask(TakeImage(path=slow_file)))
        page = group.create_task(process.ask(RenderPage(path=document, index=0)))
        with held(await being_read(slow_file)):
            await killed(process)
        with held(await being_read(slow_file)) as descriptor:
            os.write(descriptor, tiff())
    assert isinstance(answer := slow.result(), Picture)
    assert answer.jpeg
    assert isinstance(page.result(), Picture)


async def test_what_ends_the_process_twice_is_refused_and_what_stood_behind_it_is_not(
    process: RenderProcess, document: str, slow_file: str
) -> None:
    slow = asyncio.create_task(process.ask(TakeImage(path=slow_file)))
    page = asyncio.create_task(process.ask(RenderPage(path=document, index=0)))
    for _ in range(2):
        with held(await being_read(slow_file)):
            await killed(process)
    with pytest.raises(Refused, match=r"The image can't be rendered: it is damaged, or needs too much memory"):
        await slow
    assert isinstance(await page, Picture)


async def test_what_takes_longer_than_the_time_limit_is_refused(document: str, slow_file: str) -> None:
    async with running(timeout_s=2) as process:
        slow = asyncio.create_task(process.ask(TakeImage(path=slow_file)))
        page = asyncio.create_task(process.ask(RenderPage(path=document, index=0)))
        with held(await being_read(slow_file)), pytest.raises(Refused, match="longer than 2 s"):
            await slow
        assert isinstance(await page, Picture)


async def test_a_file_of_slow_pages_is_given_less_and_less_time(document: str, slow_file: str) -> None:
    async with running(timeout_s=4) as process:
        for told in ("longer than 4 s", "longer than 2 s", "longer than 2 s"):
            slow = asyncio.create_task(process.ask(TakeImage(path=slow_file)))
            with held(await being_read(slow_file)), pytest.raises(Refused, match=told):
                await slow
        assert isinstance(await process.ask(RenderPage(path=document, index=0)), Picture)


async def test_who_stops_waiting_leaves_the_process_usable(
    process: RenderProcess, document: str, slow_file: str
) -> None:
    slow = asyncio.create_task(process.ask(TakeImage(path=slow_file)))
    pid = await in_service(process)
    with held(await being_read(slow_file)):
        slow.cancel()
        await asyncio.wait([slow])
    assert await process.ask(CountPages(path=document)) == PageCount(pages=3)
    assert process.pid == pid


async def test_after_so_many_answers_another_takes_its_place_and_nobody_notices(
    document: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("services.splitter.process.RETIRED_AFTER", 3)
    pids: set[int | None] = set()

    async def asked(process: RenderProcess) -> object:
        answer = await process.ask(RenderPage(path=document, index=0))
        pids.add(process.pid)
        return answer

    async with running() as process:
        answers = await asyncio.gather(*(asked(process) for _ in range(8)))
    assert all(isinstance(answer, Picture) for answer in answers)
    assert len(pids - {None}) >= 2
    assert not caplog.records  # neither a death nor a blame


async def test_an_idle_process_that_was_killed_is_replaced(process: RenderProcess, document: str) -> None:
    pid = await in_service(process)
    await killed(process)
    assert await process.ask(CountPages(path=document)) == PageCount(pages=3)
    assert process.pid != pid


async def test_ctrl_c_does_not_end_it(process: RenderProcess, document: str) -> None:
    pid = await in_service(process)
    os.kill(pid, signal.SIGINT)
    assert await process.ask(CountPages(path=document)) == PageCount(pages=3)
    assert process.pid == pid
    assert os.getsid(pid) != os.getsid(0)


async def test_it_ends_when_its_parent_is_killed_even_in_the_middle_of_a_page(slow_file: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, msgspec.json.encode(LOOK).decode(), slow_file, cwd=ROOT
    )
    with held(await being_read(slow_file)) as descriptor:
        os.write(descriptor, b"not all of it")
        parent.kill()
        await parent.wait()

        async def without_reader() -> bool:
            try:
                os.write(descriptor, b".")
            except BrokenPipeError:
                return True
            return False

        await eventually(without_reader)


async def test_where_no_process_can_be_started_orders_are_deferred(
    monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with running() as process:
        with pytest.raises(RetryLater, match="can't be started") as caught:
            await process.ask(CountPages(path=document))
        assert not caught.value.counted

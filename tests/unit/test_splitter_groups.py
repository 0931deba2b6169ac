"""Working ahead and handing on in groups."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from services.splitter.groups import in_groups


class Bench:
    """Items that are made when the test says so."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.finish = [asyncio.Event() for _ in range(10)]

    async def make(self, item: int) -> int:
        self.begun.append(item)
        try:
            await self.finish[item].wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        return item


async def test_the_first_item_is_handed_on_alone_and_at_once() -> None:
    bench = Bench()
    async with aclosing(in_groups(bench.make, range(10), ahead=4, most=4, within_s=60)) as groups:
        bench.finish[0].set()
        assert await anext(groups) == [0]


async def test_later_items_are_handed_on_in_groups_and_the_rest_at_the_end() -> None:
    bench = Bench()
    for event in bench.finish:
        event.set()
    found = [sorted(group) async for group in in_groups(bench.make, range(10), ahead=1, most=4, within_s=60)]
    assert found == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


async def test_a_group_does_not_wait_for_a_slow_item_longer_than_told() -> None:
    bench = Bench()
    async with aclosing(in_groups(bench.make, range(3), ahead=3, most=3, within_s=0.01)) as groups:
        bench.finish[0].set()
        assert await anext(groups) == [0]
        bench.finish[1].set()
        assert await anext(groups) == [1]
        bench.finish[2].set()
        assert await anext(groups) == [2]
        with pytest.raises(StopAsyncIteration):
            await anext(groups)


async def test_no_more_items_are_in_the_works_than_told() -> None:
    bench = Bench()
    async with aclosing(in_groups(bench.make, range(10), ahead=3, most=4, within_s=60)) as groups:
        bench.finish[1].set()
        assert await anext(groups) == [1]
        assert bench.begun == [0, 1, 2]


async def test_ending_it_early_cancels_what_is_in_the_works() -> None:
    bench = Bench()
    async with aclosing(in_groups(bench.make, range(10), ahead=3, most=4, within_s=60)) as groups:
        bench.finish[0].set()
        await anext(groups)
    assert sorted(bench.cancelled) == [1, 2]


async def test_what_making_raises_is_raised_and_the_others_are_cancelled() -> None:
    bench = Bench()

    async def make(item: int) -> int:
        if item == 1:
            raise OSError("disk full")
        return await bench.make(item)

    with pytest.raises(OSError, match="disk full"):
        await anext(in_groups(make, range(10), ahead=3, most=4, within_s=60))
    assert sorted(bench.cancelled) == [0, 2]

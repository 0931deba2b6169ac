"""What does not fit one prompt is cut into parts."""

from __future__ import annotations

import pytest

from services.aggregator.tree import parts


@pytest.mark.parametrize(
    ("sizes", "most", "found"),
    [
        ([], 10, []),
        ([3, 3, 3], 10, [(0, 3)]),
        ([10], 10, [(0, 1)]),
        ([5, 5, 5, 5], 10, [(0, 2), (2, 4)]),
        ([4, 4, 4, 4, 4], 10, [(0, 2), (2, 4), (4, 5)]),
        ([30, 1, 1], 10, [(0, 1), (1, 3)]),
        ([1, 30, 1], 10, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_parts_are_consecutive_and_fit(sizes: list[int], most: int, found: list[tuple[int, int]]) -> None:
    assert [(part.start, part.stop) for part in parts(sizes, most)] == found


def test_four_hundred_batches_become_few_parts_of_about_one_size() -> None:
    sizes = [3_700] * 400
    made = parts(sizes, 80_000)
    assert [index for part in made for index in part] == list(range(400))
    assert all(len(part) * 3_700 <= 80_000 for part in made)
    assert len(made) <= 22
    assert min(map(len, made[:-1])) >= 18

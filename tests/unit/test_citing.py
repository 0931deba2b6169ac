"""Page numbers as people and prompts have them."""

from __future__ import annotations

import pytest

from shared.citing import cite, spans


@pytest.mark.parametrize(
    ("pages", "citation"),
    [
        ([], ""),
        ([7], "[p. 7]"),
        ([9, 3, 3], "[pp. 3, 9]"),
        ([4, 5], "[pp. 4, 5]"),
        ([3, 4, 5], "[pp. 3–5]"),
        ([3, 4, 5, 9, 11, 12], "[pp. 3–5, 9, 11, 12]"),
    ],
)
def test_a_citation_is_written_as_people_write_it(pages: list[int], citation: str) -> None:
    assert cite(pages) == citation


def test_spans_are_in_order_and_name_each_page_once() -> None:
    assert spans([7, 1, 2, 3, 3, 8]) == ["1–3", "7", "8"]

"""Choosing sentences: the best first, none that says what a chosen one says, and not all of one page or heading."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence

from services.local_model.passages import Passage, words

_SAME_PAGE = 0.45
_SAME_HEADING = 0.75
_TOO_CLOSE = 0.5  # Jaccard similarity of the words
_CONTAINED = 0.8  # of the shorter one's words


def choose(
    passages: Sequence[Passage],
    scores: Sequence[float],
    count: int,
    *,
    besides: Iterable[Passage] = (),
    same_page: float = _SAME_PAGE,
) -> list[int]:
    """The places of at most `count` passages, in their order.

    `besides`: what has been said elsewhere; `same_page`: what a second sentence of a page still counts (0 to 1).

    Greedy, and lazily so: a candidate's weight only falls while others are chosen, so the best of the heap is the best
    of all once its weight has been brought up to date.
    """
    heap = [(-score, place) for place, score in enumerate(scores) if score > 0]
    heapq.heapify(heap)
    said = [frozenset(words(passage.text)) for passage in besides]
    pages: Counter[int] = Counter()
    under: Counter[str] = Counter()
    chosen: list[int] = []
    while heap and len(chosen) < count:
        stale, place = heapq.heappop(heap)
        passage = passages[place]
        times = max((pages[page] for page in passage.pages), default=0)
        weight = scores[place] * same_page**times * _SAME_HEADING ** under[passage.heading]
        if weight < -stale:
            heapq.heappush(heap, (-weight, place))
            continue
        content = frozenset(words(passage.text))
        if any(_alike(content, other) for other in said):
            continue
        chosen.append(place)
        said.append(content)
        pages.update(passage.pages)
        under[passage.heading] += 1
    return sorted(chosen)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    both = len(one & other)
    return both > _TOO_CLOSE * len(one | other) or both > _CONTAINED * min(len(one), len(other))

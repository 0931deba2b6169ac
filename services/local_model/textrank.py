"""TextRank: how central each sentence is among all of them.

Mihalcea and Tarau (2004), with cosine similarity of TF-IDF vectors as in LexRank (Erkan and Radev, 2004). The
similarity matrix of n sentences would hold n² numbers; here it is never formed: with the sparse matrix X of the vectors
it is X Xᵀ, so one step of the power iteration is two passes over X. Half a million words take about half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_DAMPING = 0.85  # Brin and Page's, as in the paper
_STEPS = 60
_TOLERANCE = 1e-6  # sum of changes, of ranks that add up to 1


def rank(bags: Sequence[Sequence[str]]) -> Vector:
    """The rank of each sentence, given its words; 1 is average, 0.15 that of one that has nothing in common."""
    count = len(bags)
    if count == 0:
        return np.zeros(0)
    rows, columns, weights, vocabulary = _vectors(bags)

    def spread(vector: Vector) -> Vector:
        """X Xᵀ times a vector."""
        by_word = np.bincount(columns, weights=weights * vector[rows], minlength=vocabulary)
        return np.bincount(rows, weights=weights * by_word[columns], minlength=count).astype(np.float64, copy=False)

    degree = spread(np.ones(count))
    degree[degree == 0] = 1
    ranks = np.full(count, 1 / count)
    for _ in range(_STEPS):
        after = (1 - _DAMPING) / count + _DAMPING * spread(ranks / degree)
        change = float(np.abs(after - ranks).sum())
        ranks = after
        if change < _TOLERANCE:
            break
    return ranks * count


def _vectors(bags: Sequence[Sequence[str]]) -> tuple[NDArray[np.intp], NDArray[np.intp], Vector, int]:
    """The TF-IDF vectors, each of length 1, as (row, column, weight) triples; and how many columns there are.

    A word that only one sentence has links nothing and is left out.
    """
    count = len(bags)
    numbers: dict[str, int] = {}
    words = np.fromiter((numbers.setdefault(word, len(numbers)) for word in chain.from_iterable(bags)), dtype=np.intp)
    sentences = np.repeat(np.arange(count, dtype=np.intp), [len(bag) for bag in bags])
    vocabulary = max(1, len(numbers))
    cells, times = np.unique(sentences * vocabulary + words, return_counts=True)
    rows, columns = np.divmod(cells, vocabulary)
    spread_over = np.bincount(columns, minlength=vocabulary)
    kept = spread_over[columns] > 1
    rows, columns, times = rows[kept], columns[kept], times[kept]
    weights = (1 + np.log(times)) * np.log1p(count / spread_over[columns])
    lengths = np.sqrt(np.bincount(rows, weights=weights * weights, minlength=count))
    lengths[lengths == 0] = 1
    return rows, columns, weights / lengths[rows], vocabulary

"""Plain sentences, none like the other, and numbers in words. The same seed gives the same words."""

from __future__ import annotations

import random

_ADJECTIVES = "amber bitter calm distant eager faded gentle hollow idle jagged keen level modest narrow"
_NOUNS = (
    "anchor bridge candle desert engine forest garden harbour island journal kettle ladder magnet needle "
    "orchard pillar quarry ribbon saddle temple umbrella valley window"
)
_VERBS = "carries crosses covers follows guards holds hides keeps lifts measures outlasts repairs shelters"
_PLACES = ("after the rain", "at dawn", "by the river", "in winter", "near the gate", "on paper", "under glass")


def _sentences(count: int) -> list[str]:
    source = random.Random(25)  # a quire
    adjectives, nouns, verbs = _ADJECTIVES.split(), _NOUNS.split(), _VERBS.split()
    made: dict[str, None] = {}
    while len(made) < count:
        first, second = source.sample(nouns, 2)
        one, other = source.sample(adjectives, 2)
        verb, place = source.choice(verbs), source.choice(_PLACES)
        made[f"The {one} {first} {verb} the {other} {second} {place}."] = None
    return list(made)


SENTENCES = _sentences(4096)
"""All different, about 55 characters each."""
_ROUND = SENTENCES * 2


def passage(seed: int, chars: int) -> str:
    """About `chars` characters (up to 200,000) of whole sentences, one at least; a seed is where to start."""
    count = max(1, chars // 56)
    start = seed % len(SENTENCES)
    return " ".join(_ROUND[start : start + count])


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety"


def in_words(number: int) -> str:
    """`1234` -> "one thousand two hundred and thirty-four". From 0 to 999,999."""
    if number >= 1000:
        rest = number % 1000
        tail = f" {'and ' if rest < 100 else ''}{in_words(rest)}" if rest else ""
        return f"{in_words(number // 1000)} thousand{tail}"
    if number >= 100:
        rest = number % 100
        return f"{_ONES.split()[number // 100]} hundred" + (f" and {in_words(rest)}" if rest else "")
    if number >= 20:
        return _TENS.split()[number // 10] + (f"-{_ONES.split()[number % 10]}" if number % 10 else "")
    return _ONES.split()[number]

"""The schedule of faults: the same seed, the same faults; each kind in its turn."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.chaos.schedule import KINDS, LONGEST_GAP_S, SHORTEST_GAP_S, faults


def test_the_seed_decides_everything() -> None:
    assert faults(7, 600) == faults(7, 600)
    assert faults(7, 600) != faults(8, 600)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short = faults(7, 60)
    assert faults(7, 600)[: len(short)] == short


def test_every_one_to_five_seconds_something_goes_wrong() -> None:
    times = [fault.at_s for fault in faults(7, 600)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) > SHORTEST_GAP_S - 0.02
    assert max(gaps) < LONGEST_GAP_S + 0.02
    assert times[-1] < 600


def test_in_ten_minutes_every_kind_comes_several_times() -> None:
    counts = Counter(fault.kind for fault in faults(7, 600))
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 5


def test_a_process_is_stopped_for_up_to_forty_seconds() -> None:
    stops = [fault.lasts_s for fault in faults(7, 3000) if fault.kind == "stop"]
    assert min(stops) < 10
    assert 30 < max(stops) <= 40

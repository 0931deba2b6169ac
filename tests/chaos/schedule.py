"""What goes wrong when: a pure function of the seed, so that a run can be repeated.

What a fault meets (which pages are in flight, who holds them) depends on the machine; what is done and to whom
does not.
"""

from __future__ import annotations

import random
from typing import Literal, get_args

import msgspec

Kind = Literal[
    "kill",  # SIGKILL of a process
    "stop",  # SIGSTOP, later SIGCONT
    "black_hole",  # a third of the processes send to Redis and hear nothing
    "reset",  # their connections are reset
    "lost_replies",  # their next commands are executed, and the replies lost
    "redis_kill",  # SIGKILL of Redis, started again on the same append-only file
    "redis_loses_a_second",  # the same, and the last second of the file is gone
    "group_lost",  # a stream's consumer group is destroyed: all that was in somebody's hands is nobody's
    "script_flush",  # the server's script cache is empty
    "redis_oom",  # the server refuses what needs memory
    "model_429",
    "model_500",
    "model_hang",
    "model_slow",
    "model_garbage",
    "model_cut_off",
    "model_looping",
    "disk_full",  # no process can write a file
    "clock_off",  # a worker's clock is a minute wrong
    "rolling",  # half the fleet is replaced by the previous release, then by this one again
]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHORTEST_GAP_S, LONGEST_GAP_S = 1.0, 5.0
_LASTS_S: dict[str, tuple[float, float]] = {
    "stop": (1, 40),
    "black_hole": (2, 10),
    "redis_kill": (0.2, 2),
    "redis_loses_a_second": (0.2, 2),
    "redis_oom": (2, 6),
    "disk_full": (2, 6),
    "clock_off": (10, 30),
    "rolling": (5, 15),
}
_STORM_S = (2.0, 15.0)
_OFTEN: tuple[Kind, ...] = ("kill", "kill", "stop", "lost_replies")
"""Dealt so many times more in each round: what the others are most likely to meet in mid work."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong. `choice`: a number that picks the target; `lasts_s`: 0 for what is done at once."""

    at_s: float
    kind: Kind
    lasts_s: float
    choice: int


def faults(seed: int, seconds: float, *, kinds: tuple[Kind, ...] = KINDS) -> list[Fault]:
    """Every 1 to 5 s one, for so many seconds. Kinds are dealt like cards: each comes once before any comes thrice."""
    source = random.Random(f"faults {seed}")
    dealt: list[Kind] = []
    planned: list[Fault] = []
    at_s = source.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)
    while at_s < seconds:
        if not dealt:
            dealt = [*kinds, *(kind for kind in _OFTEN if kind in kinds)]
            source.shuffle(dealt)
        kind = dealt.pop()
        lasts_s = _LASTS_S.get(kind, _STORM_S if kind.startswith("model_") else (0, 0))
        planned.append(
            Fault(
                at_s=round(at_s, 2),
                kind=kind,
                lasts_s=round(source.uniform(*lasts_s), 2),
                choice=source.getrandbits(30),
            )
        )
        at_s += source.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)
    return planned

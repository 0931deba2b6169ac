"""Which rule takes a call. Holds the rules' counts, so a new behaviour begins to count anew."""

from __future__ import annotations

import random
from collections import Counter

from tests.standin.behaviour import Behaviour, Range, Rule
from tests.standin.calls import Call

_WELL = Rule()


class Choice:
    """Rules with their counts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._random = random.Random(behaviour.seed)
        self._met = [0] * len(behaviour.rules)
        self._taken = [0] * len(behaviour.rules)
        self._taken_of = [Counter[str]() for _ in behaviour.rules]

    def rule(self, call: Call) -> Rule:
        """The first rule that takes the call; one that just answers if none does."""
        for index, rule in enumerate(self._behaviour.rules):
            if self._takes(index, rule, call):
                return rule
        return _WELL

    def latency_s(self, rule: Rule) -> float:
        wanted: Range = self._behaviour.latency_s if rule.latency_s is None else rule.latency_s
        return self._random.uniform(*wanted) if isinstance(wanted, tuple) else wanted

    def _takes(self, index: int, rule: Rule, call: Call) -> bool:
        if not _concerns(rule, call):
            return False
        if rule.times and self._taken[index] >= rule.times:
            return False
        if rule.times_each and self._taken_of[index][call.unit] >= rule.times_each:
            return False
        self._met[index] += 1
        if self._met[index] % rule.every:
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self._taken[index] += 1
        self._taken_of[index][call.unit] += 1
        return True


def _concerns(rule: Rule, call: Call) -> bool:
    return (
        (not rule.schema or rule.schema == call.schema)
        and call.token.startswith(rule.token)
        and (not rule.page or rule.page in call.pages)
        and (rule.does != "refuse_schema" or call.format == "json_schema")
        and (rule.does != "refuse_format" or call.format != "")
        and (rule.does != "refuse_temperature" or call.temperature is not None)
    )

"""Ways in which the model fails for a while, as rules of the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.scale import LATENCY_S
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.process import Remote

STORMS: dict[str, list[Rule]] = {
    "model_429": [Rule(does="error", status=429, retry_after_s=2, probability=0.7)],
    "model_500": [Rule(does="error", status=503, probability=0.5), Rule(does="error", status=500)],
    "model_hang": [Rule(does="hang")],
    "model_slow": [Rule(latency_s=(3, 8))],
    "model_garbage": [
        Rule(does="html", probability=0.2),
        Rule(does="not_json", probability=0.2),
        Rule(does="wrong_shape", probability=0.2),
    ],
    "model_cut_off": [Rule(does="cut", probability=0.3), Rule(does="truncated", probability=0.4)],
    "model_looping": [Rule(does="repeats", probability=0.5)],
}
SPOKEN = {"model_500", "model_hang", "model_slow"}
"""Storms that calls for speech meet as well."""


class Weather:
    """Storms that rage now: they may overlap, and one's end does not end the others."""

    def __init__(self, model: Remote) -> None:
        self._model = model
        self._raging: list[str] = []

    @asynccontextmanager
    async def storm(self, kind: str) -> AsyncIterator[None]:
        self._raging.append(kind)
        await self.clear_up()
        try:
            yield
        finally:
            self._raging.remove(kind)
            await self.clear_up()

    async def clear_up(self) -> None:
        """Let the model behave as the storms that rage say, and well where there are none."""
        rules = [rule for kind in self._raging for rule in _rules(kind)]
        await self._model.behave(Behaviour(latency_s=LATENCY_S, rules=rules))


def _rules(kind: str) -> list[Rule]:
    spoken = [_spoken(rule) for rule in STORMS[kind]] if kind in SPOKEN else []
    return [*STORMS[kind], *spoken]


def _spoken(rule: Rule) -> Rule:
    return Rule(
        does=rule.does, status=rule.status, latency_s=rule.latency_s, probability=rule.probability, schema="speech"
    )

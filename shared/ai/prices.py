"""What model calls cost: list prices by model, which the user can replace (PRICES_FILE).

`prices.json` holds OpenAI's standard prices for prompts up to 272,000 tokens, as published in November 2026
(https://developers.openai.com/api/docs/pricing). Discounts (cached input, batch, flex) are left out, so that a
cost is what a call takes at most; a model that is not in the table has no known cost.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shared.settings import SettingsError

_OURS = Path(__file__).with_name("prices.json")
_SNAPSHOT = re.compile(r"-\d{4}(-?\d\d){2}$")  # gpt-5.4-mini-2026-03-17: a dated version costs what its model costs


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD per million tokens."""

    input: float
    output: float


class Prices:
    """A price table. It holds model names; a dated snapshot of a model has its price."""

    def __init__(self, table: dict[str, Price]) -> None:
        self._table = table

    def cost_usd(self, model: str, *, tokens_in: int, tokens_out: int) -> float | None:
        """What a call costs, in USD; None where the model's price is not known."""
        price = self._table.get(model) or self._table.get(_SNAPSHOT.sub("", model))
        if price is None:
            return None
        return (tokens_in * price.input + tokens_out * price.output) / 1_000_000


def load(path: str) -> Prices:
    """The user's table, or ours where `path` is empty.

    Raises SettingsError where it can't be read or is not {"model": {"input": 0.1, "output": 0.5}, …}.
    """
    try:
        table = msgspec.json.decode((Path(path) if path else _OURS).read_bytes(), type=dict[str, Price])
    except OSError as error:
        raise SettingsError(
            f"PRICES_FILE: {path!r} can't be read ({error.strerror}): name a JSON file, or unset it"
        ) from error
    except msgspec.DecodeError as error:
        raise SettingsError(
            f'PRICES_FILE: {path!r} is no price table ({error}): it should hold {{"model": {{"input": 0.1, '
            '"output": 0.5}}, in USD per million tokens'
        ) from error
    for model, price in table.items():
        if min(price.input, price.output) < 0:
            raise SettingsError(f"PRICES_FILE: {path!r} has a price below zero for {model!r}")
    return Prices(table)

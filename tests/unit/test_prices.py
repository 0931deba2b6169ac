"""What calls cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.aggregator.__main__ import AggregatorSettings
from services.page_worker.__main__ import PageWorkerSettings
from shared.ai import prices
from shared.settings import SettingsError


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-6-luna", 0.6),
        ("gpt-5.4-mini-2026-03-17", 5.25),  # a dated snapshot costs what its model costs
        ("gpt-4-0613", None),
        ("gpt-6.9-sol", None),
        ("gpt-5-pro", None),  # not a gpt-5
        ("quire-local-1", 0.0),
    ],
)
def test_a_million_tokens_in_and_out_cost_the_list_price_or_none_is_known(model: str, usd: float | None) -> None:
    cost = prices.load("").cost_usd(model, tokens_in=1_000_000, tokens_out=1_000_000)
    assert cost == (None if usd is None else pytest.approx(usd))


def test_the_default_models_have_a_price() -> None:
    table = prices.load("")
    for model in (PageWorkerSettings().page_model, AggregatorSettings().summary_model):
        assert table.cost_usd(model, tokens_in=1, tokens_out=1) is not None


def test_the_users_table_replaces_ours(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"qwen3-vl": {"input": 0.2, "output": 0.8}}')
    table = prices.load(str(path))
    assert table.cost_usd("qwen3-vl", tokens_in=500_000, tokens_out=250_000) == pytest.approx(0.3)
    assert table.cost_usd("gpt-6-luna", tokens_in=1, tokens_out=1) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no price table"),
        ('{"a": {"in": 1, "out": 2}}', "unknown field"),
        ('{"a": {"input": 1}}', "missing required field `output`"),
        ('{"a": {"input": 1, "output": "dear"}}', "Expected `float`, got `str`"),
        ('{"a": {"input": 1, "output": -2}}', "below zero for 'a'"),
    ],
)
def test_a_malformed_table_is_told_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"^PRICES_FILE: .*prices\.json.*") as caught:
        prices.load(str(path))
    assert says in str(caught.value)


def test_a_table_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        prices.load(str(tmp_path / "none.json"))

"""Settings from the environment."""

from __future__ import annotations

import pytest

from shared.settings import ModelSettings, Settings, SettingsError, load


def test_defaults_hold_where_nothing_is_set() -> None:
    assert load(Settings, {}) == Settings()


def test_a_variable_is_the_field_in_capitals() -> None:
    assert load(Settings, {"LEASE_S": "12.5", "MAX_ATTEMPTS": "3"}) == Settings(lease_s=12.5, max_attempts=3)


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(ModelSettings, {"LLM_RPM": ""}).llm_rpm == 0


def test_a_wrong_value_names_its_variable_and_itself() -> None:
    with pytest.raises(SettingsError, match=r"MAX_ATTEMPTS: expected `int`, got 'many'"):
        load(Settings, {"MAX_ATTEMPTS": "many"})

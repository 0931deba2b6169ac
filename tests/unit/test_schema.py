"""JSON schemas for strict structured outputs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared import results
from shared.ai import schema


@pytest.mark.parametrize("kind", results.NAMES)
def test_every_object_is_closed_and_requires_all_of_its_properties(kind: type[msgspec.Struct]) -> None:
    objects = list(_objects(schema.strict(kind)))
    assert objects
    for each in objects:
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])


@pytest.mark.parametrize("kind", results.NAMES)
def test_the_root_is_an_object_and_every_reference_resolves(kind: type[msgspec.Struct]) -> None:
    made = schema.strict(kind)
    assert made["type"] == "object"
    for reference in _references(made):
        assert reference.removeprefix("#/$defs/") in made["$defs"]


def test_a_literal_becomes_an_enum_of_strings() -> None:
    kind = schema.strict(results.PageAnalysis)["properties"]["kind"]
    assert kind["type"] == "string"
    assert "cover" in kind["enum"]


def test_docstrings_of_structs_and_fields_become_descriptions() -> None:
    made = schema.strict(results.PageAnalysis)
    assert made["description"] == "One page, read."
    assert made["properties"]["summary"]["description"] == "One to three sentences."
    assert made["$defs"]["Table"]["description"] == "A table of the page, as a Markdown table."


def test_what_an_example_of_the_struct_encodes_to_has_the_properties_of_the_schema() -> None:
    cited = results.Cited(text="It rains.", pages=[3])
    batch = results.BatchSummary(title="Rain", statements=[cited])
    made = schema.strict(results.BatchSummary)
    assert set(msgspec.to_builtins(batch)) == set(made["properties"])
    assert set(msgspec.to_builtins(cited)) == set(made["$defs"]["Cited"]["properties"])


def _objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for each in node for found in _objects(each)]
    if not isinstance(node, dict):
        return []
    inside = [found for each in node.values() for found in _objects(each)]
    return [node, *inside] if node.get("type") == "object" else inside


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in _references(each)]
    if not isinstance(node, dict):
        return []
    return [value for key, value in node.items() if key == "$ref"] + [
        found for each in node.values() for found in _references(each)
    ]

"""What OpenAI asks of a strict JSON schema, so that a schema that passes here passes there.

Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas, and the sentences that the
API answers with, as quoted in public issues.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NOT_PERMITTED = (
    "allOf",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "then",
    "uniqueItems",
)


def complaint(name: str, schema: dict[str, Any]) -> str:
    """The API's sentence about the first thing that is wrong; empty if it would accept the schema."""
    for wrong in _wrong(schema):
        return f"Invalid schema for response_format '{name}': {wrong}"
    return ""


def _wrong(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("type") != "object":
        yield f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    yield from _wrong_at((), schema)
    for key, definition in schema.get("$defs", {}).items():
        yield from _wrong_at(("$defs", key), definition)


def _wrong_at(path: tuple[str, ...], node: dict[str, Any]) -> Iterator[str]:
    context = f"In context={path}, "
    if "$ref" in node:
        if siblings := set(node) - {"$ref"}:
            yield f"{context}$ref cannot have keywords {siblings}."
        return
    for word in _NOT_PERMITTED:
        if word in node:
            yield f"{context}'{word}' is not permitted."
    if not node.keys() & {"type", "anyOf", "enum", "const"}:
        yield f"{context}schema must have a 'type' key."
    for index, option in enumerate(node.get("anyOf", [])):
        yield from _wrong_at((*path, "anyOf", str(index)), option)
    if node.get("type") == "array":
        if "items" not in node:
            yield f"{context}array schema missing items."
        else:
            yield from _wrong_at((*path, "items"), node["items"])
    if node.get("type") == "object":
        properties = node.get("properties", {})
        if node.get("additionalProperties") is not False:
            yield f"{context}'additionalProperties' is required to be supplied and to be false."
        for missing in sorted(set(properties) - set(node.get("required", []))):
            yield (
                f"{context}'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing}'."
            )
        for key, value in properties.items():
            yield from _wrong_at((*path, "properties", key), value)

"""JSON schemas that a model must keep to, made from msgspec Structs.

They fit "strict" structured outputs (OpenAI's guide "Structured model outputs"): the root is an object, every
property is required, nothing else is allowed. Docstrings of structs and of their fields become descriptions: they are
part of the prompt.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

import msgspec


@cache
def strict(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of an answer made of structs, lists, text and numbers. The same object each time: read only."""
    (root,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    structs = {each.__name__: each for each in _structs(msgspec.inspect.type_info(kind))}
    defined = {name: _tighten(component, structs[name]) for name, component in components.items()}
    schema = defined.pop(root["$ref"].rpartition("/")[2])
    return {**schema, "$defs": defined} if defined else schema


def _structs(info: msgspec.inspect.Type) -> set[type[msgspec.Struct]]:
    """Every struct that the type is made of, itself included."""
    if isinstance(info, msgspec.inspect.ListType):
        return _structs(info.item_type)
    if isinstance(info, msgspec.inspect.StructType):
        return {info.cls}.union(*(_structs(field.type) for field in info.fields))
    return set()


def _tighten(schema: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """One struct's schema: closed, described, without the title that only costs tokens."""
    docs = _field_docs(kind)
    for name, field in schema["properties"].items():
        if "enum" in field:
            field["type"] = "string"
        if name in docs and "$ref" not in field:  # strict schemas allow nothing beside a $ref
            field["description"] = docs[name]
    tight = {key: value for key, value in schema.items() if key != "title"}
    return {**tight, "required": list(schema["properties"]), "additionalProperties": False}


def _field_docs(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The strings that stand beneath the fields of a struct. Python keeps them only in the source."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    if not isinstance(tree, ast.ClassDef):
        raise TypeError(f"{kind.__name__} is not written as a class")
    docs = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            docs[field.target.id] = inspect.cleandoc(after.value.value)
    return docs

"""Loads the Lua scripts of `shared/lua/` and calls them.

A script's header names the keys that it touches (`-- KEYS: job read`) and the common parts that it needs
(`-- INCLUDE: base release`, files of `lua/include/`, which name their own keys). The loader puts before its text the
tables K (name -> key), GROUP (stream -> consumer group) and A (the arguments, by name).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.events import FACTS

_FOLDER = Path(__file__).parent / "lua"
_HEADER = re.compile(r"^-- (KEYS|INCLUDE): (.+)$", re.MULTILINE)
_SHEBANG = re.compile(r"\A#!lua.*\n")
_GROUPS = "local GROUP = {" + ", ".join(f"['{fact.stream}']='{fact.group}'" for fact in FACTS) + "}"


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A script, ready to be sent."""

    name: str
    text: str
    sha: str
    keys: tuple[str, ...]
    """Names of its keys, in the order of KEYS."""


@cache
def load(name: str) -> Script:
    """Read `lua/<name>.lua` with its includes. Raises FileNotFoundError for an unknown name."""
    body = (_FOLDER / f"{name}.lua").read_text()
    shebang = _SHEBANG.match(body)
    parts = [body[shebang.end() :] if shebang else body]
    for include in _named(body, "INCLUDE"):
        parts.insert(-1, (_FOLDER / "include" / f"{include}.lua").read_text())
    keys = tuple(dict.fromkeys(key for part in parts for key in _named(part, "KEYS")))
    table = "local K = {" + ", ".join(f"['{key}']=KEYS[{i}]" for i, key in enumerate(keys, start=1)) + "}"
    head = (shebang[0] if shebang else "") + f"{table}\n{_GROUPS}\nlocal A = cjson.decode(ARGV[1])\n"
    text = head + "\n".join(parts)
    return Script(name=name, text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), keys=keys)


def _named(text: str, header: str) -> list[str]:
    return [word for kind, words in _HEADER.findall(text) if kind == header for word in words.split()]


async def call(redis: Redis, script: Script, keys: list[str], arguments: Mapping[str, object]) -> Any:
    """Run the script; a server that has lost its script cache is sent the text again."""
    packed = msgspec.json.encode(arguments)
    try:
        return await redis.evalsha(script.sha, len(keys), *keys, packed)
    except NoScriptError:
        return await redis.eval(script.text, len(keys), *keys, packed)

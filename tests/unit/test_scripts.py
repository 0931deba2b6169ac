"""The Lua scripts as files: what they declare is what they use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared import keys, scripts
from shared.events import FACTS
from shared.fitness import COMMANDS

FOLDER = Path(scripts.__file__).parent / "lua"
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua"))
OWN_SLOTS = {"limiter", "cache", "quota_rate", "quota_jobs", "quota_pages"}
"""Keys that are no ledger's: who calls such a script names its key."""
STREAMS = {fact.stream for fact in FACTS}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_declares_every_key_that_it_reads_by_name(name: str) -> None:
    script = scripts.load(name)
    used = set(re.findall(r"\bK\.(\w+)", script.text)) | set(re.findall(r"\bK\['([^']+)'\]", script.text))
    assert used - {"stream", "deferred", "bodies", "dead"} <= set(script.keys)
    assert used & {"stream", "deferred", "bodies", "dead"} <= set(script.keys)


@pytest.mark.parametrize("name", [name for name in NAMES if not set(scripts.load(name).keys) & OWN_SLOTS])
def test_every_declared_key_is_known(name: str) -> None:
    for key in scripts.load(name).keys:
        assert keys.by_name(key, ref="local/a", stream="pages.requested")


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_its_contract_on_top(name: str) -> None:
    head = (FOLDER / f"{name}.lua").read_text().split("\n\n")[0]
    assert "-- Answers" in head
    assert re.search(r"Safe to repeat|A repeat", head)


def test_a_users_right_to_each_command_of_the_scripts_is_tried_at_start() -> None:
    text = "\n".join(path.read_text() for path in FOLDER.rglob("*.lua"))
    used = {command.lower() for command in re.findall(r"redis\.p?call\('([A-Z]+)'", text)}
    assert used <= set(re.findall(r"^(?:.*\|)?([a-z]+)\b", "\n".join(COMMANDS.split("|")), re.MULTILINE))


def test_scripts_fit_a_screen_or_two() -> None:
    long = {path.name: n for path in FOLDER.rglob("*.lua") if (n := len(path.read_text().splitlines())) > 140}
    assert not long

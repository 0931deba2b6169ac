"""API keys as a file, and the command that writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.__main__ import main
from shared import apikeys
from shared.apikeys import KeyFileError, Limits

Quire = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "keys.json"
    monkeypatch.setenv("API_KEYS_FILE", str(path))
    return path


@pytest.fixture
def quire(capsys: pytest.CaptureFixture[str]) -> Quire:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["keys", *arguments])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err

    return run


def test_a_key_is_shown_once_and_kept_as_its_hash(file: Path, quire: Quire) -> None:
    code, token, told = quire("add", "web", "--tenant", "acme", "--pages-per-day", "500", "--requests-per-s", "2.5")
    assert code == 0
    assert token.startswith("quire_")
    assert len(token) == len("quire_") + 43  # 32 bytes in base64
    assert "shown this once" in told
    content = file.read_text()
    assert token not in content
    assert token.removeprefix("quire_") not in content
    (key,) = apikeys.read(file).keys
    assert (key.name, key.tenant) == ("web", "acme")
    assert key.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert key.limits == Limits(pages_per_day=500, requests_per_s=2.5)


def test_the_file_is_its_owners_alone_and_nothing_else_is_left_beside_it(file: Path, quire: Quire) -> None:
    quire("add", "a")
    quire("add", "b")
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_key_has_a_tenant_of_its_own_unless_another_is_named(file: Path, quire: Quire) -> None:
    code, said, _ = quire("add", "web", "--json")
    assert code == 0
    assert {**msgspec.json.decode(said), "token": ""} == {"name": "web", "tenant": "web", "token": ""}


def test_keys_are_listed_with_their_limits_and_without_any_secret(file: Path, quire: Quire) -> None:
    _, token, _ = quire("add", "web", "--active-jobs", "7")
    code, said, _ = quire("list")
    assert code == 0
    assert "active_jobs 7" in said
    _, listed, _ = quire("list", "--json")
    (key,) = msgspec.json.decode(listed)["keys"]
    assert (key["name"], key["limits"]) == ("web", {"active_jobs": 7})
    for secret in (token, apikeys.digest(token)):
        assert secret not in said + listed


def test_a_revoked_key_is_gone_and_the_others_stay(file: Path, quire: Quire) -> None:
    quire("add", "a")
    quire("add", "b")
    code, said, _ = quire("revoke", "a")
    assert (code, said.startswith("revoked a")) == (0, True)
    assert [key.name for key in apikeys.read(file).keys] == ["b"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("add", "web"), 1, "has a key named 'web'"),
        (("revoke", "app"), 1, "has no key named 'app'"),
        (("add", "We/b"), 1, "'We/b' can't be the name of a key: use 1 to 63 of a-z"),
        (("add", "app", "--tenant", ".."), 1, "'..' can't be the tenant of a key"),
        (("add", "app", "--requests-per-s", "0"), 2, "--requests-per-s: expected `float` > 0"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    file: Path, quire: Quire, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    quire("add", "web")
    before = file.read_bytes()
    found, said, told = quire(*arguments)
    assert (found, said) == (code, "")
    assert sentence in told
    assert file.read_bytes() == before


def test_without_a_file_named_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, quire: Quire, tmp_path: Path
) -> None:
    monkeypatch.delenv("API_KEYS_FILE", raising=False)
    code, _, told = quire("list")
    assert (code, "API_KEYS_FILE is not set" in told) == (2, True)
    assert quire("add", "web", "--file", str(tmp_path / "keys.json"))[0] == 0
    code, _, told = quire("list", "--file", str(tmp_path / "none.json"))
    assert (code, "it can't be read: No such file" in told) == (1, True)


def test_what_a_person_edits_is_read_and_what_would_not_be_kept_is_refused() -> None:
    key = {"name": "a", "tenant": "t", "sha256": "0" * 64, "created": "2026-01-01T00:00:00Z"}

    def parsed(**changes: Any) -> apikeys.ApiKey:
        return apikeys.parse(msgspec.json.encode({"keys": [{**key, **changes}]})).keys[0]

    assert parsed().limits == Limits()
    assert parsed(limits={"burst": 9, "active_jobs": None}).limits == Limits(burst=9)
    for changes in (
        {"limits": {"pages_a_day": 1}},
        {"limits": {"burst": 0}},
        {"sha256": "quire_secret"},
        {"tenant": "a/b"},
        {"tenant": "a\n"},
        {"hidden": 1},
    ):
        with pytest.raises(KeyFileError, match="it does not hold API keys: "):
            parsed(**changes)
    with pytest.raises(KeyFileError, match="it holds 2 keys named 'a'"):
        apikeys.parse(msgspec.json.encode({"keys": [key, key]}))

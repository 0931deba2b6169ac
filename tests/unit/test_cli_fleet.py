"""Which processes a fleet has, and what they are told."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli import fleet
from cli.datafolder import PROJECT, Folder
from cli.errors import CommandError
from cli.fleet import DRAIN_ORDER, Options, Plan

COUNTS = {"gateway": 2, "splitter": 1, "page_worker": 2, "aggregator": 1, "tts": 1, "keeper": 1}
FOLDER = Folder(Path("/somewhere/data"))


def plan(environ: Mapping[str, str], counts: dict[str, int] = COUNTS) -> Plan:
    return fleet.plan(
        Options(counts=counts),
        FOLDER,
        environ,
        port=8080,
        lock=7,
        choose=lambda count: list(range(20_000, 20_000 + count)),
    )


def env_of(plan: Plan, name: str) -> dict[str, str]:
    return next(spec.env for spec in plan.specs if spec.name == name)


def test_nothing_set_means_an_embedded_server_and_the_local_model_and_both_are_told() -> None:
    found = plan({})
    names = [spec.name for spec in found.specs]
    assert names == [
        "redis", "gateway-1", "gateway-2", "splitter-1", "page_worker-1", "page_worker-2", "aggregator-1", "tts-1",
        "keeper-1", "local_model-1",
    ]  # fmt: skip
    assert len(found.notes) == 2
    model_port = found.specs[-1].port
    worker = env_of(found, "page_worker-2")
    assert worker["OPENAI_BASE_URL"] == f"http://127.0.0.1:{model_port}/v1"
    assert worker["OPENAI_API_KEY"] == "local"
    assert worker["PAGE_MODEL"] == worker["SUMMARY_MODEL"] == "quire-local-1"
    assert worker["TTS_MODEL"] == "quire-voice-1"
    assert worker["REDIS_URL"] == found.redis_url == f"redis://127.0.0.1:{found.specs[0].port}/0"
    assert worker["BLOB_URL"] == "file:///somewhere/data/blobs"


def test_a_server_and_a_model_that_are_given_are_used() -> None:
    given = {
        "REDIS_URL": "redis://redis:6379/1",
        "OPENAI_API_KEY": "sk-1",
        "BLOB_URL": "file:///blobs",
        "PAGE_MODEL": "m",
    }
    found = plan(given)
    assert not {"redis", "local_model-1"} & {spec.name for spec in found.specs}
    assert found.notes == []
    assert env_of(found, "splitter-1").items() >= given.items()
    assert "OPENAI_BASE_URL" not in env_of(found, "splitter-1")


def test_a_variable_that_is_set_but_empty_counts_as_unset() -> None:
    assert plan({"REDIS_URL": "", "OPENAI_API_KEY": ""}).redis_url.startswith("redis://127.0.0.1:")


def test_every_process_has_a_port_of_its_own_and_only_the_first_gateways_is_fixed() -> None:
    found = plan({"PORT": "9999"})
    ports = [spec.port for spec in found.specs]
    assert len(set(ports)) == len(ports)
    assert [spec.port for spec in found.specs if spec.name == "gateway-1"] == [8080]
    for spec in found.specs[1:]:
        assert spec.env["PORT"] == str(spec.port)


def test_only_gateways_listen_where_host_says() -> None:
    found = plan({"HOST": "0.0.0.0"})
    assert env_of(found, "gateway-1")["HOST"] == "0.0.0.0"
    assert env_of(found, "keeper-1")["HOST"] == "127.0.0.1"
    assert found.api_url == "http://127.0.0.1:8080"


def test_a_proxy_of_the_environment_does_not_stand_before_the_local_model() -> None:
    worker = env_of(plan({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.org"}), "page_worker-1")
    assert worker["NO_PROXY"] == worker["no_proxy"] == "example.org,127.0.0.1"


def test_the_drain_goes_down_the_pipeline_and_ends_with_the_server() -> None:
    stages = {spec.service: spec.stage for spec in plan({}).specs}
    assert sorted(stages, key=lambda service: stages[service]) == list(DRAIN_ORDER)


def test_the_embedded_server_holds_the_lock_and_syncs_every_write() -> None:
    (redis,) = (spec for spec in plan({}).specs if spec.service == "redis")
    assert redis.inherit == (7,)
    assert redis.server
    command = " ".join(redis.argv)
    assert "--appendonly yes --appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command


def test_every_service_that_can_be_counted_has_a_place_in_the_drain() -> None:
    from cli.__main__ import COUNTS as DEFAULTS

    assert DEFAULTS.keys() <= set(DRAIN_ORDER)


def test_every_service_of_the_project_is_started() -> None:
    from cli.__main__ import COUNTS as DEFAULTS

    built = {path.parent.name for path in (PROJECT / "services").glob("*/__main__.py")}
    assert built <= DEFAULTS.keys() | {"local_model"}


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} of 127.0.0.1 is taken"):
            fleet.gateway_port(Options(port=port, counts={}), "127.0.0.1", any_will_do=True)
    assert fleet.gateway_port(Options(port=port, counts={}), "127.0.0.1", any_will_do=False) == port


def test_the_key_file_is_found_from_where_the_command_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = plan({"API_KEYS_FILE": "keys.json"})
    assert env_of(found, "gateway-1")["API_KEYS_FILE"] == str(tmp_path / "keys.json")

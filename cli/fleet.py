"""What a fleet on this machine consists of: which services, how many, with what environment, in what order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from cli import embedded, ports, probe
from cli.child import Spec
from cli.datafolder import PROJECT, Folder
from cli.errors import CommandError

DRAIN_ORDER = ("gateway", "splitter", "page_worker", "aggregator", "tts", "keeper", "local_model", "redis")
"""The way that work flows: who takes it in ends first, who is needed to finish it ends last."""
LOCAL = "127.0.0.1"
DEFAULT_PORT = 8080
LOCAL_MODEL = "quire-local-1"
LOCAL_VOICE = "quire-voice-1"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `up` and `demo` can be told."""

    port: int | None = None
    """The gateway's. None: 8080."""
    counts: dict[str, int]
    """Service -> how many processes of it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that can be started."""

    specs: list[Spec]
    api_url: str
    redis_url: str
    notes: list[str]
    """What was chosen because nothing else was said, in sentences."""


def plan(
    options: Options,
    folder: Folder,
    environ: Mapping[str, str],
    *,
    port: int,
    lock: int,
    choose: Callable[[int], list[int]] = ports.choose,
) -> Plan:
    """Decide everything; nothing is started.

    `port`: the first gateway's. `lock`: the descriptor of the folder's lock.
    """
    given = {name: value for name, value in environ.items() if value}
    embed = "REDIS_URL" not in given
    local_model = not {"OPENAI_API_KEY", "OPENAI_BASE_URL"} & given.keys()
    names = [name for name in options.counts for _ in range(options.counts[name])]
    names += ["local_model"] * local_model
    free = choose(len(names) + 1)
    redis_port = free.pop()
    service_ports = dict(zip(_numbered(names), free, strict=True))
    service_ports["gateway-1"] = port
    gateway_host = given.get("HOST", LOCAL)

    shared = dict(given)
    shared["PYTHONPATH"] = str(PROJECT)
    shared.setdefault("BLOB_URL", f"file://{folder.blobs}")
    shared.setdefault("LOG_FORMAT", "json")
    if "API_KEYS_FILE" in given:  # from where the command was called, not from where services run
        shared["API_KEYS_FILE"] = str(Path(given["API_KEYS_FILE"]).expanduser().absolute())
    notes = []
    if embed:
        shared["REDIS_URL"] = embedded.url(redis_port)
        notes.append(f"REDIS_URL is not set: an embedded Valkey server keeps its data in {folder.redis}")
    if local_model:
        shared |= _local_model(given, service_ports["local_model-1"])
        notes.append(
            f"neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: the local model {LOCAL_MODEL} reads the pages, offline"
        )

    specs = []
    for name, service_port in service_ports.items():
        service = name.partition("-")[0]
        host = gateway_host if service == "gateway" else LOCAL
        specs.append(_service(name, service, host=host, port=service_port, env=shared))
    if embed:
        specs.insert(0, _redis(folder, redis_port, env=shared, lock=lock))
    return Plan(
        specs=specs,
        api_url=f"http://{_bracketed(reachable(gateway_host))}:{port}",
        redis_url=shared["REDIS_URL"],
        notes=notes,
    )


def _service(name: str, service: str, *, host: str, port: int, env: dict[str, str]) -> Spec:
    return Spec(
        name=name,
        service=service,
        argv=[sys.executable, "-m", f"services.{service}"],
        env={**env, "HOST": host, "PORT": str(port)},
        cwd=PROJECT,
        port=port,
        ready=partial(probe.readyz, reachable(host), port),
        stage=DRAIN_ORDER.index(service),
    )


def _redis(folder: Folder, port: int, *, env: dict[str, str], lock: int) -> Spec:
    log = folder.logs / "redis.log"
    return Spec(
        name="redis",
        service="redis",
        argv=embedded.command(folder.redis, port, log=log),
        env=env,
        cwd=folder.redis,
        port=port,
        ready=partial(probe.ping, embedded.HOST, port),
        stage=DRAIN_ORDER.index("redis"),
        server=True,
        own_log=log,
        inherit=(lock,),  # two servers must never write to one folder
    )


def _local_model(given: Mapping[str, str], port: int) -> dict[str, str]:
    """What the others need in order to use the local model."""
    unproxied = ",".join(part for part in (given.get("NO_PROXY") or given.get("no_proxy"), LOCAL) if part)
    return {
        "OPENAI_BASE_URL": f"http://{LOCAL}:{port}/v1",
        "OPENAI_API_KEY": "local",
        "PAGE_MODEL": LOCAL_MODEL,
        "SUMMARY_MODEL": LOCAL_MODEL,
        "TTS_MODEL": LOCAL_VOICE,
        "NO_PROXY": unproxied,  # the openai package heeds a proxy of the environment, which can't reach us
        "no_proxy": unproxied,
    }


def _numbered(names: list[str]) -> list[str]:
    """gateway, splitter, splitter -> gateway-1, splitter-1, splitter-2."""
    return [f"{name}-{names[: index + 1].count(name)}" for index, name in enumerate(names)]


def reachable(host: str) -> str:
    """Where a server that is bound to `host` can be reached from this machine."""
    return {"0.0.0.0": LOCAL, "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def gateway_port(options: Options, host: str, *, any_will_do: bool) -> int:
    """The port asked for, or 8080.

    Where that is taken: a free one if `any_will_do` and none was asked for, else CommandError.
    """
    port = DEFAULT_PORT if options.port is None else options.port
    if ports.is_free(host, port):
        return port
    if any_will_do and options.port is None:
        return ports.choose(1, host=host)[0]
    raise CommandError(f"port {port} of {host} is taken: end what is using it, or choose another one with --port")

"""Bad neighbours: a Redis that would lose or refuse work is told in a sentence before any work is given to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared import bus, fitness
from shared.bus import RedisUnfit
from shared.health import serve
from tests import apps, ledgers
from tests.fleets import PROJECT, environment
from tests.integration import gateways
from tests.servers import embedded, free_port

SERVICES = ("gateway", "splitter", "page_worker", "aggregator", "tts", "keeper")
EVICTING = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
OLD = os.environ.get("OLD_REDIS_SERVER", "")
"""A redis-server older than 7.0, where somebody has one."""


async def refused(url: str) -> str:
    """The sentence; everything is known within seconds."""
    async with asyncio.timeout(15), bus.connect(url) as redis:
        with pytest.raises(RedisUnfit) as told:
            await fitness.wait_until_fit(redis, asyncio.Event())
    return str(told.value)


def credentials(url: str, user: str, password: str) -> str:
    return url.replace("redis://", f"redis://{user}:{password}@")


async def test_a_server_that_would_evict_work_is_refused() -> None:
    with embedded(*EVICTING) as url:
        assert "maxmemory-policy is allkeys-lru; say CONFIG SET maxmemory-policy noeviction" in await refused(url)


async def test_a_server_that_is_full_without_evicting_is_fit() -> None:
    with embedded("--maxmemory", "1mb", "--maxmemory-policy", "noeviction") as url:
        async with bus.connect(url) as redis:
            await fitness.check(redis)


async def test_a_missing_and_a_wrong_password_are_told_apart() -> None:
    with embedded() as url:
        async with bus.connect(url) as redis:
            await redis.config_set("requirepass", "right")
        assert "Redis asks for a password: put it into REDIS_URL" in await refused(url)
        assert "Redis refuses REDIS_URL's user" in await refused(credentials(url, "", "wrong"))
        assert "Redis refuses REDIS_URL's user" in await refused(credentials(url, "nobody", "right"))
        async with bus.connect(credentials(url, "", "right")) as redis:
            await fitness.check(redis)


async def test_a_replica_is_refused_by_name_of_its_primary() -> None:
    with embedded() as primary:
        port = primary.rpartition(":")[2].removesuffix("/0")
        with embedded("--replicaof", "127.0.0.1", port) as url:
            assert "a read-only replica: name its primary, 127.0.0.1" in await refused(url)


async def test_a_cluster_node_is_refused() -> None:
    with embedded("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as url:
        assert "REDIS_URL names a cluster node" in await refused(url)


@pytest.mark.skipif(not OLD, reason="OLD_REDIS_SERVER does not name a redis-server older than 7.0")
async def test_an_older_server_is_refused(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen([OLD, "--port", str(port), "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        assert "is too old: Quire needs 7.0" in await refused(f"redis://127.0.0.1:{port}/0")
    finally:
        server.terminate()
        server.wait(10)


async def test_a_user_without_rights_is_told_which_and_what_to_say() -> None:
    with embedded() as url:
        async with bus.connect(url) as redis:
            await redis.execute_command(
                "ACL", "SETUSER", "narrow", "on", ">pw", "~*", "+@all", "-xadd", "-eval", "-evalsha"
            )
            await redis.execute_command("ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-@dangerous")
            await redis.execute_command("ACL", "SETUSER", "astray", "on", ">pw", "~others:*", "+@all")
        narrow = await refused(credentials(url, "narrow", "pw"))
        assert "does not let its user narrow do what Quire does (eval, evalsha, xadd)" in narrow
        assert "say ACL SETUSER narrow ~* +@all -@dangerous +info" in narrow
        assert "(info)" in await refused(credentials(url, "blind", "pw"))
        assert "user astray" in await refused(credentials(url, "astray", "pw"))


async def test_the_rights_that_the_sentence_names_are_enough_for_a_document(tmp_path: Path) -> None:
    with embedded() as url:
        async with bus.connect(url) as redis:
            rights = ("~*", "+@all", "-@dangerous", "+info")
            await redis.execute_command("ACL", "SETUSER", "quire", "on", ">pw", *rights)
        async with apps.app(credentials(url, "quire", "pw"), tmp_path) as app:
            await fitness.check(app.redis)
            await apps.ready_pages(app, pages=3)
            await ledgers.read_all(app, failing={1})
            assert await ledgers.finish(app) == "partial"
            assert await fitness.warnings(app.redis) == []


async def test_looking_leaves_nothing_behind_but_a_probe_that_expires() -> None:
    with embedded() as url:
        async with bus.connect(url) as redis:
            await fitness.check(redis)
            assert await redis.keys("*") == ["fitness.probe"]
            assert 0 < await redis.pttl("fitness.probe") <= 60_000


async def test_a_server_that_is_no_redis_is_refused() -> None:
    async with serve(web.Application(), host="127.0.0.1", port=0) as port:
        assert f"what answers at 127.0.0.1:{port} is no Redis" in await refused(f"redis://127.0.0.1:{port}/0")


async def test_a_database_that_is_not_there_is_told() -> None:
    with embedded() as url:
        assert "refuses REDIS_URL: DB index is out of range" in await refused(url.removesuffix("/0") + "/99")


async def test_tls_where_the_server_has_none_is_told() -> None:
    with embedded() as url:
        assert "does not speak TLS: let REDIS_URL begin with redis://" in await refused(
            url.replace("redis:", "rediss:")
        )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
async def test_a_server_that_speaks_tls_is_told_and_so_is_a_certificate_that_nobody_has_signed(tmp_path: Path) -> None:
    with embedded() as url:
        async with in_tls(url, tmp_path) as secure:
            assert "speaks TLS: let REDIS_URL begin with rediss://" in await refused(
                secure.replace("rediss:", "redis:")
            )
            assert "certificate can't be verified" in await refused(secure)
            async with bus.connect(f"{secure}?ssl_ca_certs={tmp_path}/cert.pem") as redis:
                await fitness.check(redis)


@asynccontextmanager
async def in_tls(url: str, folder: Path) -> AsyncIterator[str]:
    """The same server behind TLS, with a certificate that it has signed itself."""
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    subprocess.run(["openssl", *made, *names], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    port = int(url.rpartition(":")[2].removesuffix("/0"))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            sink.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_every_service_says_so_in_one_line_and_ends_with_exit_code_2(tmp_path: Path) -> None:
    with embedded(*EVICTING) as url:
        env = environment(
            tmp_path,
            REDIS_URL=url,
            BLOB_URL=f"file://{tmp_path}",
            PORT="0",
            OPENAI_API_KEY="sk-test",
            LOG_LEVEL="ERROR",
        )
        for half in (SERVICES[:3], SERVICES[3:]):
            async with AsyncExitStack() as stack:
                ends = [await stack.enter_async_context(_started(["-m", f"services.{name}"], env)) for name in half]
                for name, (code, said) in zip(half, [await end for end in ends], strict=True):
                    assert (name, code) == (name, 2)
                    assert said.count("\n") == 1, said
                    assert "cannot go on: Redis may evict accepted work" in said


async def test_up_says_so_in_one_line_and_ends_with_exit_code_2(tmp_path: Path) -> None:
    with embedded(*EVICTING) as url:
        env = environment(tmp_path, REDIS_URL=url, OPENAI_API_KEY="sk-test")
        async with _started(["-m", "cli", "up", "--port", str(free_port())], env) as end:
            code, said = await end
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("quire: Redis may evict accepted work")


async def test_health_warns_of_a_server_that_begins_to_evict_while_it_runs(tmp_path: Path) -> None:
    with embedded("--maxmemory", "100mb") as url:
        async with bus.connect(url) as redis, gateways.running(redis, url, tmp_path) as gateway:
            _, before = await gateway.ask("GET", "/health")
            assert not any("maxmemory-policy" in problem for problem in before["problems"])
            await redis.config_set("maxmemory-policy", "volatile-ttl")
            status, after = await gateway.ask("GET", "/health")
    assert (status, after["status"]) == (200, "degraded")
    assert any("its maxmemory-policy is volatile-ttl" in problem for problem in after["problems"])


@asynccontextmanager
async def _started(arguments: list[str], env: dict[str, str]) -> AsyncIterator[asyncio.Task[tuple[int, str]]]:
    """A command that is to end by itself; yields its exit code and what it said, and leaves nothing running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    async def end() -> tuple[int, str]:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, output.decode()

    try:
        yield asyncio.create_task(end())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

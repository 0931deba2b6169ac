"""Whether a Redis-protocol server can be worked with, and what a person has to do where it can't.

A server that does not answer is waited for: it may be starting. One that answers and would lose work, or refuse it, is
told in a sentence (RedisUnfit).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from redis.asyncio import Redis, SSLConnection
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared import keys
from shared.bus import RedisUnfit
from shared.events import FACTS

log = logging.getLogger(__name__)

OLDEST = (7, 0)
"""XAUTOCLAIM that clears deleted entries, shebang flags of scripts."""
LOOK_S = 2.0
"""How long a server may take to show which protocol it speaks."""

COMMANDS = """
ping|time|scan 0 COUNT 1|set KEY 1 PX 60000|get KEY|mget KEY|del KEY.gone|type KEY|exists KEY|pttl KEY
expire KEY 60|pexpire KEY 60000|pexpireat KEY.gone 1|persist KEY.gone|eval return 0|evalsha no 0
hset KEY f 1|hsetnx KEY f 1|hincrby KEY f 1|hincrbyfloat KEY f 1|hget KEY f|hmget KEY f|hgetall KEY|hkeys KEY|hlen KEY
hexists KEY f|hdel KEY f|hscan KEY 0|zadd KEY 1 m|zincrby KEY 1 m|zrem KEY m|zcard KEY|zcount KEY 0 0|zscore KEY m
zmscore KEY m|zrange KEY 0 0|zrangebyscore KEY 0 0|zremrangebyscore KEY 0 0
sadd KEY m|srem KEY m|smembers KEY|sismember KEY m
xadd KEY * f 1|xlen KEY|xrange KEY - +|xrevrange KEY + -|xread STREAMS KEY 0|xreadgroup GROUP g c STREAMS KEY >
xpending KEY g|xclaim KEY g c 0 1-1|xautoclaim KEY g c 0 0|xack KEY g 1-1|xdel KEY 1-1|xinfo CONSUMERS KEY g
xgroup CREATE KEY g 0|xgroup DELCONSUMER KEY g c
"""
"""What the fleet and its scripts do, tried on a string that is no stream, hash or set: rights are judged first, and all
else fails without a trace."""


async def wait_until_fit(redis: Redis, stop: asyncio.Event) -> None:
    """Return when the server answers and can be worked with, or `stop` is set. Raises RedisUnfit."""
    while not stop.is_set():
        try:
            await check(redis)
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.warning("waiting for Redis: %s", error, extra={"action": "redis_wait"})
            await asyncio.sleep(0.5)
        else:
            return


async def check(redis: Redis) -> None:
    """Look once. Raises RedisUnfit; redis' ConnectionError or TimeoutError where the server does not answer.

    Unfit: a wrong password, a server that is too old, a read-only replica, a cluster, one that would evict our keys or
    lets its user do too little, and what is no Redis-protocol server at all or speaks TLS where the URL does not.
    """
    try:
        judge(await redis.info())
        await _rights(redis)
    except AuthenticationError as error:
        asked = "asks for a password: put it into REDIS_URL" if "required" in str(error) else "refuses REDIS_URL's user"
        raise RedisUnfit(f"Redis {asked} ({error}): redis://USER:PASSWORD@host:6379/0, default is a user") from error
    except NoPermissionError as error:
        raise _denied(redis, ["info"]) from error
    except InvalidResponse as error:
        raise RedisUnfit(
            f"what answers at {_where(redis)} is no Redis: let REDIS_URL name a Redis or Valkey server"
        ) from error
    except ResponseError as error:
        if "NOAUTH" in str(error):
            raise RedisUnfit(f"Redis asks for a password: put it into REDIS_URL ({error})") from error
        raise RedisUnfit(f"Redis at {_where(redis)} refuses REDIS_URL: {error}") from error
    except (RedisConnectionError, RedisTimeoutError) as error:
        if "certificate verify failed" in str(error):
            raise RedisUnfit(
                f"Redis' certificate can't be verified ({error}): "
                "add ?ssl_ca_certs=/path/to/ca.pem to REDIS_URL, and name the host as the certificate does"
            ) from error
        if sentence := await _other_protocol(redis):
            raise RedisUnfit(sentence) from error
        raise


def judge(info: dict[str, Any]) -> None:
    """What INFO says. Pure. Raises RedisUnfit."""
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise RedisUnfit(f"Redis {info['redis_version']} is too old: Quire needs 7.0 or Valkey 8.0, or newer")
    if info.get("role") == "slave":
        raise RedisUnfit(f"REDIS_URL names a read-only replica: name its primary, {info.get('master_host')}")
    if info.get("cluster_enabled") == 1:
        raise RedisUnfit("REDIS_URL names a cluster node: this release works with a single server, so name one")
    if sentence := evicting(info):
        raise RedisUnfit(sentence)


def evicting(info: dict[str, Any]) -> str:
    """A sentence where the server would throw accepted work away when its memory is full. Pure."""
    policy = info.get("maxmemory_policy", "noeviction")
    if not info.get("maxmemory", 0) or policy == "noeviction":
        return ""
    return (
        f"Redis may evict accepted work: its maxmemory-policy is {policy}; "
        "say CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
    )


async def warnings(redis: Redis) -> list[str]:
    """Sentences on a server that works but keeps its promises only in part, as it may have become since the start."""
    info = await redis.info()
    found = [evicting(info)]
    if info.get("aof_enabled") != 1:
        found.append("Redis has no append-only file: what was accepted is lost when it crashes (set appendonly yes)")
    elif info.get("aof_last_write_status") == "err":
        found.append("Redis cannot write its append-only file: look at its disk and its log")
    return [sentence for sentence in found if sentence]


async def _rights(redis: Redis) -> None:
    """Raises RedisUnfit where the server's access control list (ACL) forbids what the fleet does."""
    tried = [line.replace("KEY", keys.FITNESS_PROBE).split() for line in COMMANDS.strip().replace("\n", "|").split("|")]
    named = (*(fact.stream for fact in FACTS), keys.CONTROL, keys.job("probe"), keys.live("probe"))
    async with redis.pipeline(transaction=False) as pipe:
        for words in tried:
            pipe.execute_command(*words)
        for key in named:
            pipe.exists(key)
        answers = await pipe.execute(raise_on_error=False)
    names = [words[0] for words in tried] + [f"on the key {key}" for key in named]
    denied = [name for name, answer in zip(names, answers, strict=True) if isinstance(answer, NoPermissionError)]
    if denied:
        raise _denied(redis, denied)


def _denied(redis: Redis, denied: list[str]) -> RedisUnfit:
    user = redis.connection_pool.connection_kwargs.get("username") or "default"
    some = ", ".join(list(dict.fromkeys(denied))[:5])
    return RedisUnfit(
        f"Redis does not let its user {user} do what Quire does ({some}): "
        f"say ACL SETUSER {user} ~* +@all -@dangerous +info"
    )


def _where(redis: Redis) -> str:
    found = redis.connection_pool.connection_kwargs
    return f"{found['host']}:{found['port']}" if "host" in found else str(found.get("path"))


async def _other_protocol(redis: Redis) -> str:
    """A sentence where the server speaks TLS and the URL does not, or the other way round."""
    found = redis.connection_pool.connection_kwargs
    if "host" not in found:
        return ""
    with_tls = issubclass(redis.connection_pool.connection_class, SSLConnection)
    try:
        async with asyncio.timeout(LOOK_S):
            if with_tls:
                answers = await _answers_plainly(found["host"], found["port"])
            else:
                answers = await _answers_tls(found["host"], found["port"])
    except (OSError, TimeoutError):
        return ""
    if not answers:
        return ""
    says, scheme = ("does not speak TLS", "redis://") if with_tls else ("speaks TLS", "rediss://")
    return f"Redis at {_where(redis)} {says}: let REDIS_URL begin with {scheme}"


async def _answers_plainly(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"PING\r\n")
        return await reader.read(1) in (b"+", b"-")
    finally:
        writer.close()


async def _answers_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: only whether it shakes hands is looked at
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.close()
    return True

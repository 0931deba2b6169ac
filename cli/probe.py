"""Asks a process whether it is ready, without a client library: `up` polls many of them while they start."""

from __future__ import annotations

import asyncio

import msgspec

_PATIENCE_S = 2  # a process that is busy importing answers late


class _Readiness(msgspec.Struct):
    problems: list[str] = []


async def readyz(host: str, port: int) -> str:
    """GET /readyz: empty when the answer is 200, else what ails the process, a sentence."""
    answer = await _ask(host, port, f"GET /readyz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return ""
    try:
        problems = msgspec.json.decode(body, type=_Readiness).problems
    except msgspec.DecodeError:
        problems = []
    if problems:
        return "; ".join(problems)
    return f"/readyz answers {status[0].decode(errors='replace')}" if status else "does not answer yet"


async def ping(host: str, port: int) -> str:
    """PING a Redis-protocol server: empty when it answers PONG, else what it says."""
    answer = await _ask(host, port, b"PING\r\nQUIT\r\n")
    if answer.startswith(b"+PONG"):
        return ""
    return answer.partition(b"\r\n")[0].decode(errors="replace") or "does not answer yet"


async def _ask(host: str, port: int, request: bytes) -> bytes:
    """Send a request and read until the other side closes; empty when nobody answers."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""

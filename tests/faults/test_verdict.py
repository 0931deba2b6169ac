"""The verdict is clean where all is well, and has a sentence for each promise that is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import DocSubmitted, PageRequested
from tests.faults.verdict import Asked, too_many_calls, verdict
from tests.integration import gateways
from tests.integration.gateways import IMAGES, JSON, Fleet, Gateway, json_body
from tests.integration.gateways import PAGES as PAGES_SENT
from tests.standin.calls import Call

PAGES = 3
TOKENS = tuple(f"Text of page {number}." for number in range(1, PAGES + 1))
ID = "6a3a9c1e-3d55-4b8e-9a53-0f6f1b1f7a10"
REF = f"local/{ID}"
ASKED = Asked(id=ID, pages=PAGES, tokens=TOKENS)


def answered(*tokens: str, did: str = "answer") -> list[Call]:
    return [Call(n=n, at=1, ended=2, token=token, did=did) for n, token in enumerate(tokens, 1)]


async def finished(gateway: Gateway, *, gaps: Collection[int] = ()) -> None:
    """The job goes through all stages, silently."""
    body = json_body(PAGES_SENT, job_id=ID)
    status, answer = await gateway.ask("POST", f"{IMAGES}?narrate=false", data=body, headers=JSON)
    assert status == 202, answer
    await Fleet(gateway.app).finish(PAGES, gaps=gaps)


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """One that knows a job of three pages, read and summarised."""
    async with gateways.running(redis, redis_url, tmp_path) as made:
        await finished(made)
        yield made


async def found(gateway: Gateway, *asked: Asked, calls: list[Call] | None = None) -> list[str]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}") as session:
        seen = answered(*TOKENS) if calls is None else calls
        return await verdict(gateway.app.redis, session, asked or (ASKED,), seen, extra=0)


async def test_a_fleet_that_kept_its_promises_has_a_clean_verdict(gateway: Gateway) -> None:
    assert await found(gateway) == []


BREAKS: list[tuple[tuple[Any, ...], str]] = [
    (("XADD", PageRequested.stream, "*", "job", REF), "1 entries are left in pages.requested"),
    (("ZADD", keys.deferred(DocSubmitted.stream), 1, REF), "still wait for another try"),
    (("HSET", keys.PAGES_READY, REF, 1), f"{keys.PAGES_READY} still holds 1"),
    (("ZADD", keys.ACTIVE, 1, REF), f"{keys.ACTIVE} still holds 1"),
    (("DEL", keys.job(REF)), "lost: Redis does not know it"),
    (("HSET", keys.job(REF), "status", "summarizing"), "has not ended: it is summarizing"),
    (("HSET", keys.job(REF), "status", "cancelled"), "is cancelled, which nobody asked for"),
    (("HSET", keys.job(REF), "status", "failed"), "has failed"),
    (("HSET", keys.gaps(REF), 1, '{"page":2,"reason":"?"}'), "ended twice"),
    (("HDEL", keys.read(REF), 2), "never ended"),
    (("HINCRBY", keys.job(REF), "done", 1), "counts 4 pages done"),
    (("HINCRBY", keys.job(REF), "blank", 1), "counts 1 blank pages"),
    (("HDEL", keys.batches(REF), "summary:0"), "has summaries of []"),
    (("HINCRBY", keys.batches(REF), "ended:0", 1), "counts 4 ended pages in batch 0"),
    (("HINCRBY", keys.job(REF), "batches_done", 1), "counts 2 and 0 batches"),
    (("HDEL", keys.gates(REF), "batch:0:1"), "batch 0 has passed no gate"),
    (("HDEL", keys.gates(REF), "summary:1"), "its summary has passed no gate"),
    (("HDEL", keys.job(REF), "summary"), "the summary is missing"),
]
"""What is done to a sound job, and what the verdict says of it."""


@pytest.mark.parametrize(("command", "sentence"), BREAKS, ids=lambda value: value if isinstance(value, str) else "")
async def test_each_broken_promise_has_its_sentence(gateway: Gateway, command: tuple[Any, ...], sentence: str) -> None:
    await gateway.app.redis.execute_command(*command)
    assert sentence in "\n".join(await found(gateway))


async def test_pages_that_share_a_result_and_show_anothers_text_are_found(gateway: Gateway) -> None:
    first = await gateway.app.redis.hget(keys.read(REF), "0")
    assert first is not None
    second = {**msgspec.json.decode(first), "page": 2}
    await gateway.app.redis.hset(keys.read(REF), "1", msgspec.json.encode(second).decode())
    told = "\n".join(await found(gateway))
    assert "pages share results" in told
    assert "page 2 shows another page's text" in told


async def test_a_narration_that_was_wanted_must_be_there(gateway: Gateway) -> None:
    spoken = Asked(id=ID, pages=PAGES, tokens=TOKENS, narrate=True)
    assert "its narration is" in "\n".join(await found(gateway, spoken))


async def test_a_gap_is_allowed_only_where_it_was_to_be_expected(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    async with gateways.running(redis, redis_url, tmp_path) as gateway:
        await finished(gateway, gaps={2})
        calls = answered(TOKENS[0], TOKENS[2])
        assert await found(gateway, Asked(id=ID, pages=PAGES, gaps=frozenset({2})), calls=calls) == []
        told = "\n".join(await found(gateway, calls=calls))
        assert "has gaps that nothing explains" in told
        assert "is partial" in told


@pytest.mark.parametrize(
    ("calls", "extra", "extra_each", "sentences"),
    [
        (answered(*TOKENS), 0, None, 0),
        (answered(*TOKENS, TOKENS[0]), 1, None, 0),
        (answered(*TOKENS) + answered(TOKENS[0], did="error_503"), 0, None, 0),
        (answered(*TOKENS, TOKENS[0]), 0, None, 2),
        (answered(*TOKENS, TOKENS[0], TOKENS[0]), 2, 1, 1),
        (answered(*TOKENS[1:]), 0, None, 1),
    ],
    ids=["all once", "one more, allowed", "an error is not paid for", "one more", "one page twice more", "one too few"],
)
def test_calls_are_held_against_what_is_counted(
    calls: list[Call], extra: int, extra_each: int | None, sentences: int
) -> None:
    wrong = too_many_calls([ASKED], calls, paid=PAGES, extra=extra, extra_each=extra_each)
    assert len(wrong) == sentences, wrong

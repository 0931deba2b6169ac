"""No key of a finished job without a lifetime; what has outlived it is forgotten, and nothing else is."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.keeper import rounds
from services.keeper.configuration import DAY_MS, KeeperSettings
from services.keeper.forgetting import Forgetter
from shared import blobs as names
from shared import keys
from shared.events import DocSubmitted, DocSummarized
from shared.outcomes import Narrated, Speaking
from shared.repairs import Repairs
from shared.service import App
from shared.settings import Settings, SettingsError, load
from shared.submission import Submission
from tests import apps
from tests.conftest import eventually
from tests.ledgers import JOB, finish, read_all, the_job

RETENTION_MS = 7 * DAY_MS
FOR_EVER = {keys.CLOCK, keys.ENDED, keys.CONTROL, keys.LIVE}
"""Keys of the whole fleet, which hold no more of a finished job than a line of `ended` or of a capped stream."""


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        await rounds.tell(made.redis, made.ledger, retention_ms=RETENTION_MS)
        yield made


def forgetter(app: App[Settings], *, retention_ms: int = RETENTION_MS) -> Forgetter:
    return Forgetter(app.redis, app.blobs, app.ledger, retention_ms=retention_ms)


async def lifetimes(redis: Redis) -> dict[str, int]:
    """Every key but those of the whole fleet -> how long it lives, ms; -1: for ever."""
    fleets = FOR_EVER | {fact for fact in await redis.keys("*") if await redis.type(fact) == "stream"}
    return {key: await redis.pttl(key) for key in await redis.keys("*") if key not in fleets}


async def of_job(redis: Redis) -> set[int]:
    """How its keys live, each once: -1 or an hour of about RETENTION_MS."""
    found = {key: ttl for key, ttl in (await lifetimes(redis)).items() if key.startswith(keys.job(JOB))}
    assert found
    assert all(ttl == -1 or RETENTION_MS - 60_000 < ttl <= RETENTION_MS for ttl in found.values()), found
    return {min(ttl, 0) for ttl in found.values()}


KEPT, DATED = {-1}, {0}


async def ended(app: App[Settings], *, failing: frozenset[int] = frozenset()) -> str:
    await apps.ready_pages(app, pages=5, batch_size=2)
    await read_all(app, failing=failing)
    return await finish(app)


async def test_a_finished_job_leaves_no_key_without_a_lifetime(app: App[Settings]) -> None:
    assert await ended(app, failing=frozenset({3})) == "partial"
    assert await of_job(app.redis) == DATED
    assert -1 not in (await lifetimes(app.redis)).values()
    run, source = await app.redis.hmget(keys.job(JOB), ["run", "source"])
    ((member, score),) = await app.redis.zrange(keys.ENDED, 0, -1, withscores=True)
    assert (member, score) == (f"{JOB} {run} {source}", await app.redis.pexpiretime(keys.job(JOB)))
    for stream in ("pages.requested", "pages.analyzed", "batches.summarized", "doc.submitted", "batches.requested"):
        assert await app.redis.xlen(stream) == 0


async def test_an_open_job_has_no_lifetime(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=5, batch_size=2)
    assert await of_job(app.redis) == KEPT
    await read_all(app)
    assert await of_job(app.redis) == KEPT
    assert await app.redis.zcard(keys.ENDED) == 0


async def test_a_cancelled_and_a_failed_job_have_one_too(app: App[Settings]) -> None:
    await apps.ready_pages(app, pages=5)
    await app.ledger.cancel(JOB)
    assert await of_job(app.redis) == DATED
    await apps.submit(app.ledger, "local/two")
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.fail(entry, "it is no PDF")
    assert -1 not in (await lifetimes(app.redis)).values()


async def test_a_retry_takes_the_lifetime_back_until_the_job_has_ended_again(app: App[Settings]) -> None:
    await ended(app, failing=frozenset({3}))
    assert (await Repairs(app.redis).retry_pages(await the_job(app), ordinals=[3])).word == "retried"
    assert await of_job(app.redis) == KEPT
    assert await app.redis.zcard(keys.ENDED) == 0
    await app.ledger.release()
    await read_all(app)
    assert await finish(app) == "completed"
    assert await of_job(app.redis) == DATED
    assert await app.redis.zcard(keys.ENDED) == 1


async def test_a_retry_of_the_plan_does_too(app: App[Settings]) -> None:
    await apps.submit(app.ledger)
    (entry,) = await apps.take(app.redis, DocSubmitted, app.worker)
    await app.ledger.fail(entry, "the disk is away")
    assert await of_job(app.redis) == DATED
    assert (await Repairs(app.redis).retry_plan(await the_job(app))).word == "retried"
    assert await of_job(app.redis) == KEPT


async def test_a_job_is_kept_until_its_narration_has_ended_too(app: App[Settings]) -> None:
    submission = Submission(
        ref=JOB, run="r", kind="images", source="u", fingerprint="f", batch_size=25, pages=2, narrate=True
    )
    await app.ledger.submit(submission)
    await apps.ready_pages(app, pages=2)
    await read_all(app)
    assert await finish(app) == "completed"
    assert await of_job(app.redis) == KEPT
    (entry,) = await apps.take(app.redis, DocSummarized, app.worker)
    await app.ledger.record(entry, Speaking())
    assert await of_job(app.redis) == KEPT
    await app.ledger.fail(entry, "it has lost its voice")
    assert await of_job(app.redis) == DATED
    assert (await Repairs(app.redis).retry_audio(await the_job(app))).word == "retried"
    assert await of_job(app.redis) == KEPT
    assert await app.redis.zcard(keys.ENDED) == 0
    (entry,) = await apps.take(app.redis, DocSummarized, app.worker)
    await app.ledger.record(entry, Narrated(audio="a", timeline="t"))
    assert await of_job(app.redis) == DATED


async def test_retention_days_0_keeps_everything_for_ever(app: App[Settings]) -> None:
    await rounds.tell(app.redis, app.ledger, retention_ms=0)
    await ended(app)
    assert await of_job(app.redis) == KEPT
    await app.blobs.put(names.upload("stray", "00000"), b"image")
    os.utime(app.blobs.root / names.upload("stray", "00000"), (0, 0))
    await forgetter(app, retention_ms=0).look_through()
    assert await of_job(app.redis) == KEPT
    assert files(app) == {names.upload("stray", "00000")}


async def test_what_ended_without_a_lifetime_gets_one_and_what_is_open_gets_none(app: App[Settings]) -> None:
    """An older release beside this one gives none; nor does this one before its keeper has said how long."""
    await app.redis.hdel(keys.CLOCK, "retention_ms")
    await ended(app)
    assert await of_job(app.redis) == KEPT
    await apps.submit(app.ledger, "local/open")
    await rounds.tell(app.redis, app.ledger, retention_ms=RETENTION_MS)
    await forgetter(app).look_through()
    assert await of_job(app.redis) == DATED
    assert await app.redis.pttl(keys.job("local/open")) == -1
    before = await app.redis.pexpiretime(keys.job(JOB))
    assert await app.ledger.retire(JOB) is False
    assert await app.redis.pexpiretime(keys.job(JOB)) == before


async def blobs_of(app: App[Settings], run: str, *, upload: str = "upload") -> None:
    """What a job leaves: an upload, an image, a result."""
    for key in (names.upload(upload, "source.pdf"), names.page_image(JOB, run, 0), names.document_result(JOB, run)):
        await app.blobs.put(key, b"content")


def files(app: App[Settings]) -> set[str]:
    root = app.blobs.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def test_the_blobs_of_a_job_go_when_its_keys_have_gone(app: App[Settings]) -> None:
    await ended(app)
    run = (await the_job(app)).run
    await blobs_of(app, run)
    await app.blobs.put(names.page_image(JOB, "another-run", 0), b"not its own")
    keeper = forgetter(app)
    assert await keeper.expired() == 0
    await expire(app.redis)
    assert await keeper.expired() == 1
    assert files(app) == {names.page_image(JOB, "another-run", 0)}
    assert await app.redis.zcard(keys.ENDED) == 0
    assert not (app.blobs.root / "uploads" / "upload").exists(), "an empty folder stays behind"
    assert await keeper.expired() == 0


async def expire(redis: Redis) -> None:
    """Let the lifetimes of everything that has one be over."""
    (member,) = await redis.zrange(keys.ENDED, 0, -1)
    for key in await redis.keys(f"{keys.job(JOB)}*"):
        await redis.pexpire(key, 1)
    await redis.zadd(keys.ENDED, {member: 1})

    async def left() -> int:
        return len([key for key in await redis.keys("job:*") if await redis.exists(key)])

    await eventually(left, until=lambda count: count == 0)


async def test_the_blobs_of_a_job_that_lives_stay_whatever_the_index_says(app: App[Settings]) -> None:
    await ended(app)
    await blobs_of(app, (await the_job(app)).run)
    kept = files(app)
    (member,) = await app.redis.zrange(keys.ENDED, 0, -1)
    await app.redis.zadd(keys.ENDED, {member: 1})
    assert await forgetter(app).expired() == 0
    assert files(app) == kept
    assert await app.redis.zscore(keys.ENDED, member) > time.time() * 1000, "it stands in the way of those behind it"


async def test_a_job_of_the_same_name_that_came_later_is_left_alone(app: App[Settings]) -> None:
    await ended(app)
    await blobs_of(app, (await the_job(app)).run)
    await expire(app.redis)
    again = Submission(ref=JOB, run="later", kind="pdf", source="other", fingerprint="f", batch_size=25)
    await app.ledger.submit(again)
    await blobs_of(app, "later", upload="other")
    kept = {name for name in files(app) if "later" in name or "other" in name}
    assert len(kept) == 3
    assert await forgetter(app).expired() == 1
    assert files(app) == kept


async def test_a_round_is_bounded_and_the_next_one_goes_on(app: App[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.keeper.forgetting.BLOBS_A_ROUND", 2)
    await ended(app)
    await blobs_of(app, (await the_job(app)).run)
    await expire(app.redis)
    keeper = forgetter(app)
    assert [await keeper.expired() for _ in "ab"] == [0, 1]
    assert files(app) == set()


async def test_an_upload_that_no_job_knows_goes_when_a_job_of_its_age_would_and_no_other(app: App[Settings]) -> None:
    """A gateway that is killed in mid upload leaves one behind."""
    for upload, age_days in (("stray", 8), ("upload", 8), ("younger", 6), ("arriving", 0)):
        await app.blobs.put(names.upload(upload, "00000"), b"image")
        os.utime(app.blobs.root / names.upload(upload, "00000"), (then := time.time() - age_days * 86_400, then))
    await apps.submit(app.ledger)  # of the upload named `upload`
    await forgetter(app).look_through()
    assert files(app) == {names.upload(upload, "00000") for upload in ("upload", "younger", "arriving")}
    await forgetter(app, retention_ms=1).look_through()
    assert files(app) == {names.upload(upload, "00000") for upload in ("upload", "arriving")}, "no upload takes a day"


async def test_a_look_through_takes_as_many_rounds_as_it_needs(
    app: App[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.keeper.forgetting.KEYS_A_ROUND", 10)
    await app.redis.hdel(keys.CLOCK, "retention_ms")
    for number in range(60):
        await apps.submit(app.ledger, f"local/{number}")
        await app.ledger.cancel(f"local/{number}")
    await rounds.tell(app.redis, app.ledger, retention_ms=RETENTION_MS)
    keeper = forgetter(app)
    for _ in range(60):
        await keeper.look_through()
    assert {await app.redis.pttl(keys.job(f"local/{number}")) for number in range(60)} & {-1, -2} == set()
    assert await app.redis.zcard(keys.ENDED) == 60


def test_retention_days_may_be_part_of_a_day_and_not_less_than_none() -> None:
    assert load(KeeperSettings, {"RETENTION_DAYS": "0.5"}).retention_ms == DAY_MS // 2
    assert load(KeeperSettings, {}).retention_ms == 30 * DAY_MS
    assert load(KeeperSettings, {"RETENTION_DAYS": "1e-12"}).retention_ms == 1, "a little is not for ever"
    for wrong in ("-1", "36501", "long"):
        with pytest.raises(SettingsError, match="RETENTION_DAYS"):
            load(KeeperSettings, {"RETENTION_DAYS": wrong})


async def test_the_shortest_lifetime_there_is_still_lets_the_job_end(app: App[Settings]) -> None:
    await rounds.tell(app.redis, app.ledger, retention_ms=1)
    assert await ended(app) == "completed"

    async def left() -> set[str]:
        return set(await app.redis.keys(f"{keys.job(JOB)}*"))

    await eventually(left, until=lambda found: not found)
    assert await app.redis.zcard(keys.ENDED) == 1

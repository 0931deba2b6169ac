"""A document's narration: from its summary through the narrator and a speaking server to a player of the MP3."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from services.tts import handler, sentences
from services.tts.handler import Voice
from shared import keys
from shared.ai import speech
from shared.consumer import Stage
from shared.events import DocSummarized
from shared.limiter import Limiter
from shared.settings import ModelSettings
from shared.submission import Submission
from tests import apps
from tests.conftest import eventually
from tests.integration.gateways import SUMMARY, Fleet, Gateway, running
from tests.standin.behaviour import Behaviour, Rule
from tests.standin.server import Model, serve
from tests.standin.speech import seconds

SPOKEN = [sentence.text for sentence in sentences.of(SUMMARY)]


@pytest.fixture
async def gateway(redis: Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(redis, redis_url, tmp_path) as made:
        yield made


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Model]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with serve() as made:
        monkeypatch.setenv("OPENAI_BASE_URL", made.url)
        yield made


@asynccontextmanager
async def narrator(url: str, folder: Path) -> AsyncIterator[asyncio.Task[None]]:
    """The service, in this process."""
    async with (
        apps.app(url, folder / "blobs", name="tts", grace_s=0.1) as app,
        speech.connect(ModelSettings(), Limiter(app.redis, "tongue"), timeout_s=10) as door,
    ):

        async def say(text: str, *, job: str, run: str) -> bytes:
            return await door.say(text, model="tongue", voice="ann", clear=partial(app.control.clear, job, run))

        narrate = partial(
            handler.narrate,
            fetch=app.blobs.get,
            keep=app.blobs.put,
            write=app.blobs.writer,
            forget=app.blobs.delete,
            say=say,
            voice=Voice(model="tongue", name="ann", cost_usd=None),
            at_once=2,
        )
        async with apps.consuming(app, Stage(DocSummarized, narrate, slots=2)) as task:
            yield task


async def completed(gateway: Gateway, *, narrate: bool = True) -> str:
    """A document of a page that has its summary; its id."""
    job_id = str(uuid.uuid4())
    await gateway.app.ledger.submit(
        Submission(
            ref=f"local/{job_id}",
            run=uuid.uuid4().hex,
            kind="images",
            source="upload",
            fingerprint="same",
            batch_size=25,
            pages=1,
            narrate=narrate,
        )
    )
    await Fleet(gateway.app).finish(1)
    return job_id


async def audio_of(gateway: Gateway, job_id: str, *wanted: str) -> dict[str, Any]:
    """The job's status, once its audio is one of these."""

    async def status() -> dict[str, Any]:
        answer: dict[str, Any] = (await gateway.ask("GET", f"/batch-status/{job_id}"))[1]
        return answer

    return await eventually(status, until=lambda answer: answer["audio"] in wanted)


async def raw(
    gateway: Gateway, path: str, *, method: str = "GET", **headers: str
) -> tuple[int, bytes, Mapping[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{gateway.port}{path}"
    async with gateway.session.request(method, url, headers=sent) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_a_summary_is_spoken_and_can_be_heard_in_ranges(
    gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    job_id = await completed(gateway)
    before = await audio_of(gateway, job_id, "pending")
    assert before["status"] == "completed"
    path = f"/documents/{job_id}/audio"
    for waiting in (path, f"{path}.json"):
        status, problem = await gateway.ask("GET", waiting)
        assert (status, problem["type"], problem["audio"]) == (409, "/errors/audio-not-ready", "pending")
        assert gateway.headers["Retry-After"] == "5"

    async with narrator(redis_url, tmp_path):
        ready = await audio_of(gateway, job_id, "ready", "failed")
    assert (ready["audio"], ready["audio_reason"], ready["status"]) == ("ready", None, "completed")
    assert sorted(call.prompt for call in model.spoken) == sorted(SPOKEN)

    status, timeline = await gateway.ask("GET", f"{path}.json")
    assert status == 200
    assert [segment["text"] for segment in timeline["segments"]] == SPOKEN
    assert [segment["pages"] for segment in timeline["segments"]] == [[1], [1, 3], [3]]
    lengths = [segment["end_s"] - segment["start_s"] for segment in timeline["segments"]]
    assert lengths == pytest.approx([seconds(text) for text in SPOKEN], abs=0.002)

    status, whole, headers = await raw(gateway, path)
    assert (status, headers["Content-Type"], headers["Accept-Ranges"]) == (200, "audio/mpeg", "bytes")
    assert len(whole) == int(headers["Content-Length"])
    assert len(whole) / 8000 == pytest.approx(timeline["duration_s"], abs=0.15)

    size, tag = len(whole), headers["ETag"]
    status, part, headers = await raw(gateway, path, Range="bytes=100-199")
    assert (status, part, headers["Content-Range"]) == (206, whole[100:200], f"bytes 100-199/{size}")
    assert (await raw(gateway, path, Range="bytes=-7"))[:2] == (206, whole[-7:])
    assert (await raw(gateway, path, Range="bytes=5-", If_Range=tag))[:2] == (206, whole[5:])
    assert (await raw(gateway, path, Range="bytes=5-", If_Range='"another"'))[:2] == (200, whole)
    assert (await raw(gateway, path, Range="bytes=0-1,5-6"))[:2] == (200, whole)
    status, body, headers = await raw(gateway, path, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    assert msgspec.json.decode(body)["type"] == "/errors/range-not-satisfiable"
    assert (await raw(gateway, path, If_None_Match=tag))[:2] == (304, b"")
    status, body, headers = await raw(gateway, path, method="HEAD")
    assert (status, body, headers["Content-Length"], headers["ETag"]) == (200, b"", str(size), tag)

    document = (await gateway.ask("GET", f"/documents/{job_id}"))[1]
    assert (document["audio"], document["audio_reason"]) == ("ready", None)
    assert not [path for path in (tmp_path / "blobs").rglob("*.pcm") if path.is_file()]


async def test_a_narrator_that_dies_is_followed_by_one_that_buys_only_what_is_missing(
    gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    last = SPOKEN[-1]
    model.behave(Behaviour(rules=[Rule(does="hang", schema="speech", token=last)]))
    job_id = await completed(gateway)
    async with narrator(redis_url, tmp_path):
        await audio_of(gateway, job_id, "speaking")

        async def in_the_middle() -> bool:
            bought = [call for call in model.spoken if call.ended and call.status == 200]
            return len(bought) == len(SPOKEN) - 1 and len(model.spoken) == len(SPOKEN)

        await eventually(in_the_middle)
    model.behave(Behaviour())
    async with narrator(redis_url, tmp_path):
        assert (await audio_of(gateway, job_id, "ready", "failed"))["audio"] == "ready"
    answered = [call.prompt for call in model.spoken if call.status == 200 and not call.aborted]
    assert sorted(answered) == sorted(SPOKEN), "each sentence once"


async def test_a_server_without_speech_leaves_the_document_completed(
    gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    model.behave(Behaviour(rules=[Rule(does="error", schema="speech", status=404)]))
    job_id = await completed(gateway)
    async with narrator(redis_url, tmp_path):
        ended = await audio_of(gateway, job_id, "ready", "failed")
    assert (ended["status"], ended["audio"], ended["reason"]) == ("completed", "failed", None)
    assert "does not speak with TTS_MODEL 'tongue'" in ended["audio_reason"]
    status, problem = await gateway.ask("GET", f"/documents/{job_id}/audio")
    assert (status, problem["type"]) == (404, "/errors/audio-failed")
    assert ended["audio_reason"] in problem["detail"]
    assert await gateway.app.redis.xlen(keys.dead(DocSummarized.stream)) == 1


async def test_a_cancel_stops_a_narration_and_leaves_the_document_completed(
    gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    model.behave(Behaviour(rules=[Rule(schema="speech", times=1), Rule(does="hang", schema="speech")]))
    job_id = await completed(gateway)
    another = await completed(gateway)
    async with narrator(redis_url, tmp_path):

        async def in_flight() -> int:
            return sum(call.ended is None for call in model.spoken)

        await eventually(in_flight, until=lambda calls: calls == 4)
        status, answer = await gateway.ask("POST", f"/cancel-job/{job_id}")
        answered_at = time.time()
        assert (status, answer["status"], answer["cancelled"]) == (200, "completed", False)
        assert answer["message"] == "The job had ended before: it is completed. Its narration was stopped."
        await eventually(in_flight, until=lambda calls: calls == 2)  # those of the other document
        assert time.time() - answered_at < 2
        told = await audio_of(gateway, job_id, "failed")
        assert (told["status"], told["audio_reason"]) == ("completed", "it was cancelled")
        again = (await gateway.ask("POST", f"/cancel-job/{job_id}"))[1]
        assert again["message"].endswith("Its narration had been stopped before.")

        async def held() -> list[str]:
            entries: Any = await gateway.app.redis.xrange(DocSummarized.stream)
            return [fields["job"] for _, fields in entries]

        await eventually(held, until=lambda jobs: jobs == [f"local/{another}"])
        model.behave(Behaviour())
        assert (await gateway.ask("POST", f"/cancel-job/{another}"))[1]["status"] == "completed"
    assert await gateway.app.redis.xlen(keys.dead(DocSummarized.stream)) == 0


@pytest.mark.parametrize("where", ["waiting", "deferred"])
async def test_a_narration_that_was_cancelled_before_it_began_never_speaks(
    where: str, gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    redis = gateway.app.redis
    job_id = await completed(gateway)
    if where == "deferred":
        for entry in await apps.take(redis, DocSummarized, gateway.app.worker):
            await gateway.app.ledger.defer(entry, delay_s=0.1)
    assert (await gateway.ask("POST", f"/cancel-job/{job_id}"))[1]["status"] == "completed"
    async with narrator(redis_url, tmp_path):

        async def left() -> int:
            return int(await redis.xlen(DocSummarized.stream) + await redis.zcard(keys.deferred(DocSummarized.stream)))

        await eventually(left, until=lambda entries: entries == 0)
        assert await redis.hlen(keys.bodies(DocSummarized.stream)) == 0
    assert model.spoken == []
    assert (await audio_of(gateway, job_id, "failed"))["audio_reason"] == "it was cancelled"


async def test_a_document_that_is_not_to_be_narrated_has_no_audio(gateway: Gateway) -> None:
    job_id = await completed(gateway, narrate=False)
    assert await gateway.app.redis.xlen(DocSummarized.stream) == 0
    for path in (f"/documents/{job_id}/audio", f"/documents/{job_id}/audio.json"):
        status, problem = await gateway.ask("GET", path)
        assert (status, problem["type"]) == (404, "/errors/no-audio")
    assert (await gateway.ask("GET", f"/documents/{uuid.uuid4()}/audio"))[1]["type"] == "/errors/unknown-job"


async def test_a_narration_whose_blob_is_lost_is_gone(
    gateway: Gateway, model: Model, redis_url: str, tmp_path: Path
) -> None:
    job_id = await completed(gateway)
    async with narrator(redis_url, tmp_path):
        await audio_of(gateway, job_id, "ready")
    for path in (tmp_path / "blobs").rglob("*.mp3"):
        path.unlink()
    status, problem = await gateway.ask("GET", f"/documents/{job_id}/audio")
    assert (status, problem["type"]) == (410, "/errors/audio-gone")

"""`./quire streams` and `./quire dead` against a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli import dead, streams
from cli.__main__ import main
from cli.errors import CommandError
from shared.events import DocSubmitted, PageRequested
from shared.service import App
from shared.settings import Settings
from tests import apps
from tests.ledgers import JOB, finish, read_all, the_job
from tests.servers import free_port


@pytest.fixture
async def app(redis_url: str, tmp_path: Path) -> AsyncIterator[App[Settings]]:
    async with apps.app(redis_url, tmp_path) as made:
        yield made


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


async def test_streams_says_what_waits_where_and_who_holds_it(
    app: App[Settings], redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await apps.ready_pages(app, pages=30)
    await apps.take(app.redis, PageRequested, app.worker, count=3)
    await apps.take(app.redis, PageRequested, "vanished", count=1)
    assert await streams.streams(redis_url=redis_url, as_json=True) == 0
    found = {stream["stats"]["stream"]: stream for stream in said(capsys)["streams"]}
    pages = found[PageRequested.stream]
    assert (pages["stats"]["backlog"], pages["stats"]["in_flight"]) == (30, 4)
    assert pages["stats"]["queued"] + pages["stats"]["waiting"] == 26
    holders = {holder["name"]: holder for holder in pages["consumers"]}
    assert (holders[app.worker]["in_hand"], holders[app.worker]["service"]) == (3, "test")
    assert (holders["vanished"]["in_hand"], holders["vanished"]["service"]) == (1, "")
    assert await streams.streams(redis_url=redis_url, as_json=False) == 0
    text = capsys.readouterr().out
    assert PageRequested.stream in text
    assert "gone" in text


async def test_streams_of_a_server_that_never_saw_a_fleet_are_empty(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await streams.streams(redis_url=redis_url, as_json=True) == 0
    assert {stream["stats"]["backlog"] for stream in said(capsys)["streams"]} == {0}


async def test_a_dead_letter_is_listed_shown_replayed_and_gone(
    app: App[Settings], redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await apps.ready_pages(app, pages=3)
    await read_all(app, failing={1})
    await finish(app)
    assert await dead.list_all(None, redis_url=redis_url, as_json=True) == 0
    (letter,) = said(capsys)["letters"]
    assert (letter["job"], letter["page"], letter["reason"]) == (JOB, 2, "the model refused it")
    assert await dead.list_all(PageRequested.stream, redis_url=redis_url, as_json=False) == 0
    assert "page 2" in capsys.readouterr().out
    assert await dead.show(PageRequested.stream, letter["id"], redis_url=redis_url, as_json=False) == 0
    assert "images/1" in capsys.readouterr().out
    assert await dead.replay(PageRequested.stream, "all", redis_url=redis_url, as_json=False) == 0
    assert capsys.readouterr().out == "replayed 1 letter\n"
    assert (await the_job(app)).status == "processing"
    assert await dead.list_all(None, redis_url=redis_url, as_json=False) == 0
    assert capsys.readouterr().out == "no dead letters\n"


async def test_a_letter_that_cannot_be_replayed_says_why_and_can_be_dropped(
    app: App[Settings], redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await apps.ready_pages(app, pages=2)
    await read_all(app, failing={0})
    assert await dead.replay(PageRequested.stream, "all", redis_url=redis_url, as_json=True) == 1
    answer = said(capsys)
    assert answer["replayed"] == 0
    assert "has not ended" in answer["letters"][0]["why"]
    assert await dead.drop(PageRequested.stream, "all", redis_url=redis_url, as_json=False) == 0
    assert capsys.readouterr().out == "dropped 1 letter\n"


@pytest.mark.parametrize(
    ("stream", "id_", "sentence"),
    [
        ("pages", "all", "there is no stream 'pages': choose one of doc.submitted"),
        (DocSubmitted.stream, "1-1", "doc.submitted has no dead letter '1-1'"),
        (DocSubmitted.stream, "one", "doc.submitted has no dead letter 'one'"),
    ],
)
async def test_what_is_not_there_is_told_in_a_sentence(redis_url: str, stream: str, id_: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as told:
        await dead.drop(stream, id_, redis_url=redis_url, as_json=False)
    assert told.value.code == 2


@pytest.mark.parametrize("command", [["streams"], ["dead", "list"]])
def test_a_fleet_that_is_down_is_told_in_a_sentence(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert main(command) == 2
    assert "no fleet runs in" in capsys.readouterr().err
    assert main([*command, "--redis-url", f"redis://127.0.0.1:{free_port()}/0"]) == 2
    assert "can't be used" in capsys.readouterr().err

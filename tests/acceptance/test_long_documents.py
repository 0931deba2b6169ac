"""Documents of 1,000, 5,000 and 10,000 pages go through a whole fleet: every page once, in order, nothing left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import ijson
import msgspec
import pytest
import pytest_asyncio

from cli.datafolder import Folder
from shared.events import FACTS
from tests import books
from tests.clients import PDF
from tests.conftest import eventually
from tests.fleets import Fleet

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.timeout(900)]

BATCH_PAGES = 25
WITHIN_S = 600
"""10,000 pages at 17 a second: a sixth of what two idle cores manage."""


class Told(msgspec.Struct):
    """A result as it streams by: what is counted of it, never the whole."""

    pages: int = 0
    texts: int = 0
    batches: int = 0
    gaps: int = 0
    status: str = ""
    cited: int = 0
    """The highest page that the summary names."""
    statuses: Counter[str] = msgspec.field(default_factory=Counter)


@pytest.fixture(scope="session")
def bookshelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the documents, each made once."""
    return tmp_path_factory.mktemp("books")


@pytest_asyncio.fixture(loop_scope="session")
async def session(fleet: Fleet) -> AsyncIterator[aiohttp.ClientSession]:
    """Of the gateway, for what is too long to be held in one piece."""
    running = Folder(fleet.folder).running()
    assert running is not None
    async with aiohttp.ClientSession(running.api_url) as session:
        yield session


async def submitted(session: aiohttp.ClientSession, document: Path) -> str:
    """Stream the document up; the job's id."""
    with document.open("rb") as content:
        path = "/documents?user_id=reader&narrate=false"
        async with session.post(path, data=content, headers=PDF) as response:
            assert response.status == 202, await response.text()
            job: str = (await response.json())["job_id"]
            return job


async def result(session: aiohttp.ClientSession, job: str) -> Told:
    """Read the result piece by piece. Fails at once where a page or a batch is not the next one."""
    told = Told()
    async with session.get(f"/documents/{job}") as response:
        assert response.status == 200
        async for place, kind, value in ijson.parse(response.content, use_float=True):
            match place, kind:
                case "pages.item.page", "number":
                    told.pages += 1
                    assert value == told.pages, "pages come in order"
                case "pages.item.status", "string":
                    told.statuses[value] += 1
                case "pages.item.text", "string":
                    told.texts += bool(value)
                case "batches.item.batch", "number":
                    assert value == told.batches, "batches come in order"
                    told.batches += 1
                case "gaps.item", "number":
                    told.gaps += 1
                case "status", "string":
                    told.status = value
                case (("summary.sections.item.pages.item" | "summary.abstract_pages.item"), "number"):
                    told.cited = max(told.cited, value)
    return told


async def nothing_waits(fleet: Fleet) -> None:
    """Return when every stream of work is empty."""

    async def left() -> dict[str, int]:
        held = {fact.stream: await fleet.redis.xlen(fact.stream) for fact in FACTS}
        return {stream: count for stream, count in held.items() if count}

    await eventually(left, until=lambda held: not held)


@pytest.mark.parametrize("pages", [1_000, 5_000, 10_000])
async def test_a_long_document_is_read_whole_each_page_once_and_leaves_nothing_behind(
    fleet: Fleet, session: aiohttp.ClientSession, bookshelf: Path, pages: int
) -> None:
    job = await submitted(session, books.long_pdf(bookshelf, pages))
    status = await fleet.api.ended(job, within_s=WITHIN_S)
    assert (status["status"], status["reason"], status["total_pages"]) == ("completed", None, pages)
    assert status["pages"] == {"done": pages, "failed": 0, "cached": 0, "blank": 0}

    batches = pages // BATCH_PAGES
    answers = len(list(fleet.folder.glob(f"blobs/jobs/local/{job}/*/answers/*.json")))
    levels = answers - batches - 1
    stats = fleet.model.stats()
    assert stats.by_schema == {
        "page_analysis": {"answer": pages},
        "batch_summary": {"answer": batches},
        "document_summary": {"answer": levels + 1},
    }
    assert stats.calls == status["usage"]["calls"] == pages + batches + levels + 1
    assert len([token for token, answered in stats.answered_by_token.items() if answered == 1]) == pages
    assert (levels > 0) == (pages >= 5_000), "what does not fit one prompt goes through another level, and only that"

    told = await result(session, job)
    assert (told.status, told.pages, told.texts, told.batches, told.gaps) == ("completed", pages, pages, batches, 0)
    assert told.statuses == {"done": pages}
    assert told.cited == pages, "the summary knows the end of the document"
    await nothing_waits(fleet)

"""What the command says: citations, figures, milestones, the last line; and what it takes for a document."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from cli import display, outcome, sources, wording
from cli.__main__ import main
from cli.errors import CommandError
from cli.progress import Milestones, Pace, describe
from cli.signals import Signals
from cli.sources import Images, Pdf
from cli.wire import Batches, Gap, Pages, Result, Status
from shared.outcomes import Usage
from shared.results import Cited, DocumentSummary, Section


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (65, "1 min 5 s"), (7380, "2 h 3 min"), (-1, "0 s")]
)
def test_durations_are_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_a_price_that_is_not_known_is_not_told_as_nothing() -> None:
    used = Usage(calls=1, tokens_in=1200, tokens_out=34, cost_usd=None)
    assert wording.usage(used) == "1 model call, 1,200 tokens in, 34 tokens out, cost unknown"


def status(state: str = "processing", ended: int = 28, **more: object) -> Status:
    fields = {
        "job_id": "j-1",
        "status": state,
        "current_page": ended,
        "total_pages": 113,
        "batches": Batches(total=5, completed=1),
        "pages": Pages(done=ended),
        "estimated_seconds_remaining": 7.2,
        "usage": Usage(calls=ended, cost_usd=0.0123),
    }
    return Status(**{**fields, **more})  # type: ignore[arg-type]


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert pace.see(0, 0) == 0
    assert pace.see(5, 50) == 10
    for second in range(6, 40):
        steady = pace.see(second, 50 + 2 * (second - 5))
    assert steady == pytest.approx(2)


def test_a_line_says_pages_batches_pace_time_left_and_cost() -> None:
    assert describe(status(), 12.34) == "processing: 28 of 113 pages, 1 of 5 batches, 12.3 pages/s, 7 s left, $0.0123"
    assert describe(Status(job_id="j-1", status="queued"), 0) == "queued"


def test_where_there_is_no_terminal_only_milestones_are_told() -> None:
    milestones = Milestones()
    lines = [milestones.line(status(ended=page), 1) for page in range(114)]
    assert [line.partition(" of")[0] for line in lines if line] == [
        "processing: 0",
        "processing: 29",
        "processing: 57",
        "processing: 85",
        "processing: 113",
    ]
    assert milestones.line(status("summarizing", 113), 1).startswith("summarizing")
    assert milestones.line(status("completed", 113), 1) == ""


def test_on_a_terminal_the_progress_is_drawn_in_one_place() -> None:
    screen = io.StringIO()
    with display.live(Console(file=screen, force_terminal=True, width=110, highlight=False)) as show:
        show(status())
    drawn = screen.getvalue()
    for part in ("processing", "28/113 pages", "1/5 batches", "pages/s", "7 s left", "$0.0123"):
        assert part in drawn


SUMMARY = DocumentSummary(
    title="An Introduction to R",
    title_pages=[1],
    abstract="R is an environment for statistics. " * 6,
    abstract_pages=[8, 9, 10],
    sections=[Section(heading="Simple manipulations", text="Vectors are assigned.", pages=[13, 15])],
    key_points=[Cited(text="[bold] is not markup here", pages=[12])],
)


def test_a_summary_is_wrapped_and_every_statement_names_its_pages() -> None:
    screen = io.StringIO()
    outcome.show(Console(file=screen, width=60, highlight=False), status("completed", 113), Result(summary=SUMMARY))
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= 60
    for part in (
        "An Introduction to R [p. 1]",
        "[pp. 8–10]",
        "• [bold] is not markup here [p. 12]",
        "Vectors are assigned. [pp. 13, 15]",
        "113 model calls",
    ):
        assert part in text


def test_gaps_are_named_with_their_reasons() -> None:
    screen = io.StringIO()
    gaps = [Gap(page=page, reason="refused by the model") for page in range(1, 31)]
    outcome.show(Console(file=screen, width=80), status("partial", 113, gaps=gaps, reason="30 gaps"), Result())
    assert "30 pages could not be read" in screen.getvalue()
    assert "[p. 20] refused by the model\n  and 10 more" in screen.getvalue()


def test_the_last_line_says_how_it_ended() -> None:
    assert outcome.last_line(status("completed", 113), 12.34) == "completed j-1: 113 pages in 12.3 s"
    assert outcome.last_line(status("partial", 110), 12.34) == "partial j-1: 110 of 113 pages in 12.3 s"


def test_a_pdf_a_folder_of_page_images_or_page_images_can_be_submitted(tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("page 10.png", "page 2.PNG", "page 1.jpg")]
    for path in [*pages, tmp_path / "notes.txt", tmp_path / "book.pdf"]:
        path.touch()
    assert sources.recognise([tmp_path / "book.pdf"]) == Pdf(tmp_path / "book.pdf")
    assert sources.recognise([tmp_path]) == Images(pages[::-1])
    assert sources.recognise(pages) == Images(pages)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["none.pdf"], "none.pdf: there is no such file"),
        (["a.png", "book.pdf"], "book.pdf: not a page image"),
        (["empty"], "empty: the folder has no page images"),
    ],
)
def test_anything_else_is_told_in_a_sentence(tmp_path: Path, names: list[str], sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").touch()
    (tmp_path / "book.pdf").touch()
    with pytest.raises(CommandError, match=sentence):
        sources.recognise([tmp_path / name for name in names])


def test_a_signal_that_comes_twice_in_a_moment_is_one() -> None:
    """`timeout 60 ./quire up` sends SIGTERM to the process and to its group."""
    signals = Signals()
    signals.arrive()
    signals.arrive()
    assert signals.stop.is_set()
    assert not signals.force.is_set()


def test_a_wrong_argument_is_told_with_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["up", "--splitters", "0"])
    assert "argument --splitters: expected a number from 1 to 1000, got '0'" in capsys.readouterr().err

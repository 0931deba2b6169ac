"""Prints what came of a job: the summary with its citations, the gaps, the usage, and the last line."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cli import wording
from cli.client import Client
from cli.errors import CommandError
from cli.wire import Result, Status
from shared.citing import cite
from shared.results import DocumentSummary

_GAPS_SHOWN = 20  # a scan that failed throughout would fill the screen; the files name them all
_WIDTH = 100  # of text that goes to a file or a pipe


def console() -> Console:
    """Standard output; text is wrapped to the terminal, or to a width that can be read."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH)


def show(out: Console, status: Status, result: Result) -> None:
    """The summary if there is one, the gaps, the usage."""
    if result.summary is not None:
        _summary(out, result.summary)
    if status.reason:
        out.print(Text(status.reason, style="yellow"))
    if status.gaps:
        out.print(Text(f"\n{wording.counted(len(status.gaps), 'page')} could not be read:", style="bold"))
        for gap in status.gaps[:_GAPS_SHOWN]:
            out.print(Text(f"  {cite([gap.page])} {gap.reason}"))
        if len(status.gaps) > _GAPS_SHOWN:
            out.print(Text(f"  and {len(status.gaps) - _GAPS_SHOWN} more"))
    out.print()
    table(out, {"Usage": wording.usage(status.usage)})


def last_line(status: Status, took_s: float) -> str:
    """`completed JOB_ID: 113 pages in 12.3 s`; other ends say how many pages were read, and why not more."""
    if status.status == "completed":
        return f"completed {status.job_id}: {wording.counted(status.total_pages, 'page')} in {took_s:.1f} s"
    read = f"{status.pages.done:,} of {wording.counted(status.total_pages, 'page')}"
    return f"{status.status} {status.job_id}: {read} in {took_s:.1f} s"


def table(out: Console, rows: dict[str, str]) -> None:
    """Names and values; a value is never broken, so that a path can be copied."""
    width = max(map(len, rows))
    for name, value in rows.items():
        out.print(Text(f"{name:{width}}  ", style="bold").append(value, style="not bold"), soft_wrap=True)


async def result(client: Client, job_id: str, *, out: Path | None) -> tuple[Result, list[Path]]:
    """The job's summary; with `out` a folder, the report (Markdown) and the whole result (JSON) are written there.

    Returns the paths of what was written.
    """
    answer, document = await client.result(job_id)
    if out is None:
        return answer, []
    files = {out / f"{job_id}.md": await client.report(job_id), out / f"{job_id}.json": document}
    await write(files)
    return answer, list(files)


async def write(files: dict[Path, bytes]) -> None:
    """Write these files whole. Raises CommandError."""
    await asyncio.to_thread(_write, files)


def _write(files: dict[Path, bytes]) -> None:
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error.strerror}") from error


def _summary(out: Console, summary: DocumentSummary) -> None:
    out.print()
    out.print(_cited(" ".join(summary.title.split()), summary.title_pages, style="bold"))
    out.print()
    out.print(_cited(summary.abstract, summary.abstract_pages))
    if summary.key_points:
        out.print(Text("\nKey points", style="bold"))
        for point in summary.key_points:
            _indented(out, _cited(point.text, point.pages), first="  • ")
    for section in summary.sections:
        out.print(Text(f"\n{' '.join(section.heading.split())}", style="bold"))
        _indented(out, _cited(section.text, section.pages), first="  ")


def _indented(out: Console, text: Text, *, first: str) -> None:
    """Wrapped text behind `first`, the further lines below its own beginning."""
    for number, line in enumerate(text.wrap(out, out.width - len(first))):
        line.rstrip()
        out.print(Text(" " * len(first) if number else first).append_text(line))


def _cited(text: str, pages: list[int], *, style: str = "") -> Text:
    """Text objects are printed as they are: `[p. 7]` is not taken for markup."""
    return Text(text.strip(), style=style).append(f" {cite(pages)}".rstrip(), style="not bold cyan")

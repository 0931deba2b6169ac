"""Which heading each page of a run of pages lies under, and what the run is to be called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from services.local_model import headings, spans
from services.local_model.headings import LABEL, Heading
from services.local_model.passages import of_markdown
from services.local_model.sources import Source

PART_MARK = " · "

_NUMBER = re.compile(r"\A(\d{1,3}|[A-Z](?=\.\d))(?:\.\d+)*\s")
_PLAIN = re.compile(r"\A(?:\d{1,3}(?:\.\d+)*|[A-Z](?:\.\d+)+)\.?\s+")
_MOST_PARTS = 3
_COMMON = 0.8  # of the pages: a heading above more than these is the document's or its part's


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A batch's pages."""

    pages: list[Page]
    title: str
    """The document's title, where the batch begins with it, else ""."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a batch: its number, its text, and the chapters that it begins and ends under."""

    number: int
    text: str
    begins: str
    ends: str
    starts: frozenset[str]
    """The headings on it that begin a chapter."""


def run(sources: Sequence[Source]) -> Run:
    """The pages of a batch, each under its chapter.

    Where a page's path of headings is known it tells the chapter; else the outermost headings of the text have to do.
    """
    found = [[heading for heading, _ in of_markdown(each.text) if heading is not None] for each in sources]
    title = _title(sources[0], found[0]) if sources else ""
    paths = [each.path for each in sources]
    besides = {title, _above_all(paths)}
    levels = [
        heading.level for each in found for heading in each if heading.level < LABEL and heading.text not in besides
    ]
    top = 1 if any(paths) else min(levels, default=1)
    outer = [[one.text for one in each if one.level <= top and one.text not in besides] for each in found]
    paths = [[one for one in path if one not in besides] for path in paths]
    known = _by_number([*(path[0] for path in paths if path), *(one for each in outer for one in each)])
    pages: list[Page] = []
    under = ""
    for source, path, each in zip(sources, paths, outer, strict=True):
        starts = [one for one in each if headings.follows(one, under)]
        ends = _chapter(path[0], under, known) if path else starts[-1] if starts else under
        begins = under if starts and under else ends
        pages.append(Page(number=source.page, text=source.text, begins=begins, ends=ends, starts=frozenset(starts)))
        under = ends
    return Run(pages=pages, title=title)


def title_of(batch: Run) -> str:
    """What to call the pages: `Arrays and matrices · Lists and data frames`."""
    spans = Counter(page.ends for page in batch.pages if page.ends)
    names = [name for name in dict.fromkeys(page.ends for page in batch.pages) if name]
    names = [name for name in names if not headings.is_apparatus(name)] or names
    if len(names) > 2 * _MOST_PARTS and max(spans.values()) <= 2:
        parts = [f"{plain(names[0])} to {plain(names[-1])}"]  # a dictionary's pages: first and last entry
    else:
        largest = {
            name for name, _ in sorted(((name, spans[name]) for name in names), key=lambda one: -one[1])[:_MOST_PARTS]
        }
        parts = [plain(name) for name in names if name in largest]
    return PART_MARK.join(parts) or batch.title or _span(batch.pages)


def plain(heading: str) -> str:
    """A heading without its number."""
    return _PLAIN.sub("", heading)


def _by_number(names: Sequence[str]) -> dict[str, str]:
    """The chapters by number: {"5": "5 Arrays and matrices"}."""
    found: dict[str, str] = {}
    for name in names:
        match = _NUMBER.match(name)
        if match and match[0].strip() == match[1]:
            found.setdefault(match[1], name)
    return found


def _chapter(heading: str, current: str, known: dict[str, str]) -> str:
    """The chapter of a page whose path begins with this heading: `5.2 Indexing` belongs to `5 Arrays`."""
    match = _NUMBER.match(heading)
    chapter = known.get(match[1], heading) if match else heading
    return current if headings.same(chapter, current) else chapter


def _above_all(paths: list[list[str]]) -> str:
    """The heading that nearly all paths begin with while they differ below it: the document's own title."""
    deep = [path for path in paths if len(path) > 1]
    if len(deep) < 2:
        return ""
    first, times = Counter(path[0] for path in deep).most_common(1)[0]
    differ = len({path[1] for path in deep if path[0] == first}) > 1
    return first if differ and times >= _COMMON * len(deep) and not _PLAIN.match(first) else ""


def _title(first: Source, found: Sequence[Heading]) -> str:
    """The document's title, where this is its first page and begins with a heading that has no number."""
    begins = first.page == 1 and found and found[0].level == 1 and first.text.startswith("#")
    return found[0].text if begins and not _PLAIN.match(found[0].text) else ""


def _span(pages: Sequence[Page]) -> str:
    return spans.written([page.number for page in pages]).capitalize()

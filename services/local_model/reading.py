"""A page's text, read: Markdown, headings, a summary of its own sentences, tables, language, kind, confidence.

The text is the page's text layer, or what was recognised on its image. Everything in the answer stands in it; without
any the answer says so and holds nothing.
"""

from __future__ import annotations

from services.local_model import blocks, furniture, headings, languages, lines, picking, rendering
from services.local_model.blocks import Block, Kind
from services.local_model.headings import Heading
from services.local_model.kinds import COVER_WORDS, kind_of
from services.local_model.passages import Passage, of_page, scores
from services.local_model.recognising import Seen
from services.local_model.sources import NO_TEXT, NO_WORDS
from shared.results import Figure, PageAnalysis, PageKind, Table

ONLY_FURNITURE = "The page holds a page number or a running head only; the built-in model does not see pictures."
NOT_SEEN = "Not described: the built-in model reads text and does not see pictures."

_CONFIDENT = 0.9  # of clean text: reading order and structure are guessed, so never more
_DOUBTFUL = 0.3  # the image may show what the text lacks
_ODD_COSTS = 5.0  # a fifth of odd characters, and nothing can be trusted
_MOST_POINTS = 5
_NAMED = 4  # lines of a cover that its description repeats
_LONGEST_TITLE = 120  # characters


def holds_text(text: str, *, page: int) -> bool:
    """Whether there is more than page numbers and running heads in a text layer. A scanner's may hold no more."""
    return any(any(map(str.isalnum, line)) for line in furniture.strip(lines.tidy(text), page).lines)


def see(seen: Seen, *, page: int) -> PageAnalysis:
    """Read a page from what was recognised on its image."""
    if seen.blank:
        return _without_text("", confidence=_CONFIDENT, kind="blank")
    if not any(map(str.isalnum, seen.text)):
        return _without_text(NO_WORDS, confidence=0.0)
    return read(seen.text, page=page, sure=seen.confidence)


def read(text: str, *, page: int, sure: float = 1.0) -> PageAnalysis:
    """Read a page from its text. `page`: its number in the document; `sure`: 0 to 1, how sure the characters are."""
    if not any(map(str.isalnum, text)):
        return _without_text(NO_TEXT, confidence=0.0)
    stripped = furniture.strip(lines.tidy(text), page)
    running = sorted(map(headings.of_running_head, stripped.heads), key=lambda head: head.level)
    found = blocks.build(headings.with_titles(stripped.lines))
    if not found:
        return _without_text(ONLY_FURNITURE, confidence=min(_DOUBTFUL, sure))
    if page == 1:
        found = _with_title(found)
    _settle_levels(found, running)
    markdown = rendering.markdown(found)
    passages = of_page(markdown, page)
    kind = kind_of(page, found, len(passages))
    path = headings.path(running, [Heading(block.level, block.lines[0]) for block in _those(found, Kind.HEADING)])
    summary, points = _said(passages, found, kind, path)
    return PageAnalysis(
        text=markdown,
        headings=path,
        summary=summary,
        key_points=points,
        tables=_tables(found),
        figures=_figures(found),
        language=languages.guess(markdown),
        kind=kind,
        confidence=round(max(0.1, min(_CONFIDENT, sure) - _ODD_COSTS * lines.odd_share(text)), 2),
    )


def _without_text(summary: str, *, confidence: float, kind: PageKind = "other") -> PageAnalysis:
    return PageAnalysis(
        text="",
        headings=[],
        summary=summary,
        key_points=[],
        tables=[],
        figures=[],
        language="und",
        kind=kind,
        confidence=confidence,
    )


def _those(found: list[Block], kind: Kind) -> list[Block]:
    return [block for block in found if block.kind is kind]


def _with_title(found: list[Block]) -> list[Block]:
    """The first page's blocks with the document's title as a heading; on a cover each line stands for itself."""
    if not found or found[0].kind not in (Kind.PARAGRAPH, Kind.HEADING) or found[0].level > 0:
        return found
    first = found[0].lines
    taken = 2 if len(first) > 1 and headings.breaks_off(first[0]) else 1
    title = " ".join(first[:taken])
    if len(title) > _LONGEST_TITLE or title.endswith((".", ",")):
        return found
    everything = [line for block in found for line in block.lines]
    if sum(len(line.split()) for line in everything) < COVER_WORDS:
        rest = [Block(kind=Kind.PARAGRAPH, lines=[line]) for line in everything[taken:]]
    else:
        rest = [Block(kind=Kind.PARAGRAPH, lines=first[taken:])] if first[taken:] else []
        rest += found[1:]
    return [Block(kind=Kind.HEADING, lines=[title], level=1), *rest]


def _settle_levels(found: list[Block], running: list[Heading]) -> None:
    """Give headings without a number their level: one below the last that has one."""
    depth = max([1, *(head.level for head in running)])
    for block in _those(found, Kind.HEADING):
        if block.level == 1 and not all(headings.follows(block.lines[0], head.text) for head in running):
            block.kind = Kind.PARAGRAPH
        elif block.level == headings.UNNUMBERED:
            block.level = min(depth + 1, 4)
        elif block.level != headings.LABEL:
            depth = block.level


def _said(passages: list[Passage], found: list[Block], kind: PageKind, path: list[str]) -> tuple[str, list[str]]:
    """The page's summary and its key points: sentences of it, or where it has none, what it is made of."""
    if kind in ("contents", "index", "cover") or not passages:
        return _described(found, kind, path), []
    weights = scores(passages)
    count = 1 if len(passages) < 4 else 2 if len(passages) < 16 else 3
    top = picking.choose(passages, weights, count)
    rest = [0.0 if place in top else weight for place, weight in enumerate(weights)]
    points = picking.choose(passages, rest, _MOST_POINTS, besides=[passages[place] for place in top])
    return " ".join(passages[place].text for place in top), [passages[place].text for place in points]


def _described(found: list[Block], kind: PageKind, path: list[str]) -> str:
    """What the page is made of, where no sentence of its own can say it."""
    firsts = [rendering.label(block) for block in found]
    entries = [rendering.label(block) for block in _those(found, Kind.ENTRY)]
    match kind:
        case "cover":
            return f"Cover page: {'; '.join(firsts[:_NAMED])}."
        case "contents" | "index":
            what = "Table of contents" if kind == "contents" else "Index"
            return f"{what} with {len(entries)} entries, from “{entries[0]}” to “{entries[-1]}”."
        case _:
            if any("copyright" in line.lower() or "©" in line for block in found for line in block.lines):
                return "Copyright or licence notice."
            under = f" under “{path[-1]}”" if path else ""
            what = "Program text or output" if _those(found, Kind.CODE) else "Short lines"
            return f"{what}{under}, without sentences that could be quoted."


def _tables(found: list[Block]) -> list[Table]:
    tables = []
    for place, block in enumerate(found):
        if block.kind is Kind.TABLE:
            before = found[place - 1].lines[-1] if place else ""
            caption = before if blocks.caption(before) == "table" else ""
            tables.append(Table(caption=caption, markdown=rendering.table(block)))
    return tables


def _figures(found: list[Block]) -> list[Figure]:
    paragraphs = _those(found, Kind.PARAGRAPH)
    captions = [" ".join(block.lines) for block in paragraphs if blocks.caption(block.lines[0]) == "figure"]
    return [Figure(caption=caption, description=NOT_SEEN) for caption in captions]

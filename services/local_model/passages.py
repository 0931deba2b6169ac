"""The sentences of Markdown text that can stand in a summary, each with its page, its heading and its worth."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import msgspec

from services.local_model import marks, sentences, textrank
from services.local_model.headings import Heading
from services.local_model.languages import ALL_STOP_WORDS
from services.local_model.worth import worth

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"\A(?:[-*+•–—]|\d{1,2}[.)])\s+")
_LABEL = re.compile(r"\A(?:\*\*)?(?:summary|key points?|text|headings?)(?:\*\*)?:(?:\*\*)?\s*", re.IGNORECASE)
_ASIDE = re.compile(
    r" ?[(\[](?:see|cf\.|siehe|vgl\.|voir|véase)\s[^()\[\]]*(?:\[[^\]]*\][^()\[\]]*)?[)\]]", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_WIDE = re.compile(f"[{marks.WIDE}]{{2,}}")
_ESCAPE = re.compile(r"\\([#>*_`|\\-])")


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of a document."""

    text: str
    pages: tuple[int, ...]
    heading: str
    """The outermost heading that it stands under, "" if none is known."""
    opens: bool
    """Whether it is the first sentence under its heading."""
    worth: float


def words(sentence: str) -> list[str]:
    """The words that carry meaning, small and roughly without plural; of scripts without spaces, character pairs."""
    found = [word for word in _WORD.findall(sentence.lower()) if word not in ALL_STOP_WORDS]
    stems = [word[:-1] if word.endswith("s") and len(word) > 4 else word for word in found]
    for run in _WIDE.findall(sentence):
        stems.extend(run[place : place + 2] for place in range(len(run) - 1))
    return stems


def of_markdown(text: str) -> Iterator[tuple[Heading | None, str]]:
    """What a Markdown text holds, in order: (heading, "") for a heading, (None, paragraph or item) for prose.

    Fenced text and tables are left out.
    """
    paragraph: list[str] = []
    fenced = False
    for line in [*text.split("\n"), ""]:
        stripped = line.strip()
        is_fence = stripped.startswith("```")
        heading = None if fenced else _HEADING.fullmatch(stripped)
        breaks = is_fence or fenced or not stripped or heading or stripped.startswith("|") or _ITEM.match(stripped)
        if breaks and paragraph:
            yield None, " ".join(paragraph)
            paragraph = []
        if is_fence:
            fenced = not fenced
        elif heading:
            yield Heading(len(heading[1]), heading[2].strip()), ""
        elif stripped and not fenced and not stripped.startswith("|"):
            paragraph.append(_ITEM.sub("", stripped, count=1) if not paragraph else stripped)


def plain(sentence: str) -> str:
    """A sentence without labels, without asides such as "(see Chapter 13)", without Markdown's escapes."""
    return _ESCAPE.sub(r"\1", _ASIDE.sub("", _LABEL.sub("", sentence, count=1)))


def usable(text: str) -> list[tuple[str, float]]:
    """The sentences of a paragraph that can be shown, with their worth."""
    found = []
    for sentence in sentences.split(text):
        shown = plain(sentence)
        if weight := worth(shown):
            found.append((shown, weight))
    return found


def scores(passages: Sequence[Passage]) -> list[float]:
    """How much each passage says for the whole and how well it stands alone. 1 is about the average."""
    central = textrank.rank([words(passage.text) for passage in passages])
    return [
        float(rank) * passage.worth * (1.4 if passage.opens else 1.0)
        for rank, passage in zip(central, passages, strict=True)
    ]


def of_page(text: str, page: int, *, under: str = "", chapters: Collection[str] | None = None) -> list[Passage]:
    """The usable sentences of a page's Markdown.

    `under`: the chapter that the page begins in; `chapters`: the headings that begin another, None: those of level 1.
    """
    found = []
    opens = False
    for heading, paragraph in of_markdown(text):
        if heading is not None:
            opens = True
            if heading.text in chapters if chapters is not None else heading.level == 1:
                under = heading.text
            continue
        for place, (sentence, weight) in enumerate(usable(paragraph)):
            found.append(Passage(text=sentence, pages=(page,), heading=under, opens=opens and place == 0, worth=weight))
        opens = False
    return found

"""The summary of a batch, by extraction: sentences of its pages, each with the page that it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, sqrt

from services.local_model import chapters, cues, headings, languages, passages, picking, spans
from services.local_model.languages import listed
from services.local_model.passages import Passage
from services.local_model.sources import source, unread
from shared.results import BatchSummary, Cited

RUN_IN = " — "
"""Stands between a chapter's name and its first statement: `Arrays and matrices — An array is …`."""

_PAGES_A_STATEMENT = 2.5
_FEWEST, _MOST = 3, 10  # statements of a batch
_OPENING = 4  # statements of a document's first pages
_OPENING_PAGES = 4  # that have sentences at all
_SAMPLE = 40  # sentences that tell the language
_EARLY_PAGES = 50  # where a document may still be telling what it is
_ABOUT_THE_SUBJECT = 1.8
_SPEAKS_OF_ITSELF = 1.8
_SAYS = listed(
    """
    is are was were has have can provides offers describes allows contains aims supports consists covers continue
    ist sind war hat bietet beschreibt ermöglicht enthält est sont était a offre décrit permet es son fue ofrece
    """
)


def batch(sections: Sequence[tuple[int, int, str]]) -> BatchSummary:
    """Summarise consecutive pages. `sections`: (first page, last page, text), as `shared.markup.pages` gives them."""
    sources = [source(first, text) for first, _, text in sections]
    run = chapters.run([each for each in sources if each.read])
    found = _in_one_language(
        [
            passage
            for page in run.pages
            for passage in passages.of_page(page.text, page.number, under=page.begins, chapters=page.starts)
            if not headings.is_apparatus(passage.heading)
        ]
    )
    weights = [
        weight * (_SPEAKS_OF_ITSELF if passage.pages[0] <= _EARLY_PAGES and _tells_of_itself(passage.text) else 1)
        for weight, passage in zip(passages.scores(found), found, strict=True)
    ]
    opening = _opening(found, weights, run.title) if run.pages and run.pages[0].number == 1 else []
    weights = [0.0 if place in opening else weight for place, weight in enumerate(weights)]
    count = min(_MOST, max(_FEWEST, ceil(len(run.pages) / _PAGES_A_STATEMENT))) - len(opening)
    chosen = picking.choose(found, weights, count, besides=[found[place] for place in opening])
    statements = [*_with_run_ins([found[place] for place in sorted([*opening, *chosen])])]
    missing = [each.page for each in sources if not each.read]
    if missing:
        statements.append(unread(missing))
    title = chapters.title_of(run) if run.pages else spans.written(missing).capitalize() if missing else ""
    return BatchSummary(title=title, statements=statements)


def _in_one_language(found: list[Passage]) -> list[Passage]:
    """Without the sentences that are in another language than most: a summary is in one."""
    main = languages.guess(" ".join(passage.text for passage in found[:_SAMPLE]))
    return [passage for passage in found if not languages.is_foreign(passage.text, main)]


def _opening(found: Sequence[Passage], weights: Sequence[float], title: str) -> list[int]:
    """Sentences of the document's first pages that tell what it is: its summary begins with them."""
    pages = sorted({page for passage in found for page in passage.pages})[:_OPENING_PAGES]
    subject = subject_of(title)
    opening = [
        sqrt(weight) * introduces(passage.text, subject) if passage.pages[0] in pages else 0.0
        for weight, passage in zip(weights, found, strict=True)
    ]
    return picking.choose(found, opening, min(_OPENING, len(found) // 3), same_page=1)


def _with_run_ins(chosen: Sequence[Passage]) -> Iterator[Cited]:
    """The statements, the first one of each chapter with the chapter's name before it."""
    under = ""
    for passage in chosen:
        run_in = chapters.plain(passage.heading) + RUN_IN if passage.heading not in ("", under) else ""
        under = passage.heading
        yield Cited(text=run_in + passage.text, pages=list(passage.pages))


def subject_of(title: str) -> frozenset[str]:
    """The words of a title that name what the document is about: `R` of `An Introduction to R`."""
    long = passages.words(title)
    short = [word for word in title.replace(":", " ").split() if len(word) < 4 and word.isupper() and word != "A"]
    return frozenset([*long, *(word.lower() for word in short)])


def introduces(sentence: str, subject: frozenset[str]) -> float:
    """How much more a sentence counts for telling what the document is: it speaks of its subject, or of itself."""
    about = _ABOUT_THE_SUBJECT if _tells_of(sentence, subject) else 1.0
    return about * (_SPEAKS_OF_ITSELF if _tells_of_itself(sentence) else 1.0)


def _tells_of_itself(sentence: str) -> bool:
    return cues.SPEAKS_OF_ITSELF.search(sentence) is not None and not cues.LEANS_BACK.match(sentence)


def _tells_of(sentence: str, subject: frozenset[str]) -> bool:
    """Whether a sentence says something of the subject: it begins with its name, and a verb follows."""
    words = [word.strip(",.:;()").lower() for word in sentence.split()[:6]]
    if words and words[0] in ("the", "der", "die", "das", "le", "la", "les", "el", "los"):
        words = words[1:]
    named = next((place for place, word in enumerate(words) if word not in subject), len(words))
    return 0 < named < len(words) and words[named] in _SAYS

"""A summary as it is spoken: its sentences, and the pieces that the speech API is asked for. Pure.

Nothing is said but what the summary says: a "Key points" of ours would be English in a French document.
A piece is one sentence, so that its length is known exactly and the timeline needs no guess; only a sentence too long
for one call is cut, at clauses or else between words.
"""

from __future__ import annotations

import re

import msgspec

from shared.results import DocumentSummary

PIECE_CHARS = 1_200
"""Of one call. The API takes 4,096 characters, and OpenAI's models 2,000 tokens, which is less in some scripts."""
BETWEEN_SENTENCES_S, BETWEEN_PARTS_S = 0.35, 0.9

_MARKS = (
    (re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)"), r"\1"),  # links and images of Markdown
    (re.compile(r"(?m)^[ \t]*(?:#{1,6}|[-*•>])[ \t]+"), ""),
    (re.compile(r"(\*\*|__|`+)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\w)"), r"\1"),
)
_END = re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[\u3002\uff01\uff1f]+[」』”\uff09]*""")  # the second: Chinese, Japanese
_CLAUSE = re.compile(r"[;:](?=\s)|,(?=\s)|\s[–—](?=\s)|[\uff0c、\uff1b\uff1a]")
_OPENERS = "\"'“\u2018„«»([¿¡"
_NEVER_LAST = frozenset(
    (
        "al",
        "approx",
        "bzw",
        "ca",
        "cf",
        "dr",
        "e.g",
        "hr",
        "i.e",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "u.a",
        "vgl",
        "vs",
        "z.b",
    )
)
_BEFORE_NUMBERS = frozenset(
    (
        "abb",
        "abs",
        "art",
        "ch",
        "eq",
        "eqs",
        "fig",
        "figs",
        "kap",
        "no",
        "nos",
        "nr",
        "p",
        "pp",
        "s",
        "sec",
        "tab",
        "vol",
    )
)


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """`section`: as in `results.Segment`. `pause_s`: the silence before it."""

    text: str
    section: str
    pages: list[int]
    pause_s: float


class Piece(msgspec.Struct, frozen=True):
    """What one call speaks. `sentence`: 0-based place of the sentence that it is of."""

    text: str
    sentence: int


def of(summary: DocumentSummary) -> list[Sentence]:
    """All sentences in the order of speaking. What holds no letter and no digit is not spoken."""
    spoken = _part("Title", [summary.title], summary.title_pages)
    spoken += _part("Abstract", [summary.abstract], summary.abstract_pages)
    for section in summary.sections:
        spoken += _part(section.heading.strip(), [section.heading, section.text], section.pages)
    for place, point in enumerate(summary.key_points):
        pause_s = BETWEEN_SENTENCES_S if place else BETWEEN_PARTS_S
        spoken += _part("Key points", [point.text], point.pages, pause_s=pause_s)
    return [msgspec.structs.replace(spoken[0], pause_s=0.0), *spoken[1:]] if spoken else []


def _part(section: str, texts: list[str], pages: list[int], *, pause_s: float = BETWEEN_PARTS_S) -> list[Sentence]:
    found = [sentence for text in texts for sentence in split(text)]
    return [
        Sentence(text=text, section=section, pages=pages, pause_s=BETWEEN_SENTENCES_S if place else pause_s)
        for place, text in enumerate(found)
    ]


def split(text: str) -> list[str]:
    """The sentences of a text that may be Markdown; its lines end sentences too."""
    for mark, bare in _MARKS:
        text = mark.sub(bare, text)
    found = [sentence for line in text.splitlines() for sentence in _line(" ".join(line.split()))]
    return [sentence for sentence in found if any(map(str.isalnum, sentence))]


def _line(line: str) -> list[str]:
    found, start = [], 0
    for end in _END.finditer(line):
        if _is_end(line[start : end.start()], end[0], line[end.end() :].lstrip()):
            found.append(line[start : end.end()].strip())
            start = end.end()
    return [*found, line[start:].strip()]


def _is_end(before: str, mark: str, after: str) -> bool:
    """Does a sentence end with `mark`, after the words `before` and with `after` to follow?"""
    follows = after.lstrip(_OPENERS)[:1]
    if follows.islower():
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    words = before.split()
    last = words[-1].lstrip(_OPENERS) if words else ""
    if last.lower() in _NEVER_LAST or (len(last) == 1 and last.isalpha()):  # J. Smith
        return False
    if last.isdigit() and len(words) == 1:  # 1. A list's item
        return False
    return not (last.lower() in _BEFORE_NUMBERS and follows.isdigit())


def pieces(sentences: list[Sentence], *, most: int = PIECE_CHARS) -> list[Piece]:
    """In order, each of at most `most` characters."""
    return [Piece(text, place) for place, sentence in enumerate(sentences) for text in cut(sentence.text, most)]


def cut(text: str, most: int) -> list[str]:
    """Parts of at most `most` characters: up to the last clause, the last word, or as many as fit."""
    parts = []
    while len(text) > most:
        head = text[: most + 1]
        clauses = [clause.end() for clause in _CLAUSE.finditer(head) if clause.end() <= most]
        at = clauses[-1] if clauses else head.rfind(" ")
        at = at if at > 0 else most
        parts.append(text[:at].strip())
        text = text[at:].strip()
    return [*parts, text]

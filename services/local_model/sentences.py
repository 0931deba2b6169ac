"""Text cut into sentences, with an eye on abbreviations, initials and footnote marks."""

from __future__ import annotations

import re

from services.local_model import marks
from services.local_model.languages import ALL_STOP_WORDS, listed

_END = re.compile(rf"[.!?…]{{1,6}}[{marks.CLOSING}\]]*\s+(?=[{marks.OPENING}\[¿¡]?[^\W_])|[。\uff01\uff1f]\s*")
_FOOTNOTE = re.compile(rf"(?<=[a-zß-öø-ÿ)”’])([.!?])\d{{1,2}}(?=\s+[{marks.OPENING}]?[^\W\d_]|$)")
_SPACE = re.compile(r"\s+")
_ABBREVIATIONS = listed(
    """
    e.g i.e cf vs fig figs sec sect ch chap eq eqs no nos vol pp p ed eds dr mr mrs ms prof st jr inc al approx resp
    univ ca dept est viz incl z.b d.h bzw nr abb kap bd u.a s.o s.u vgl evtl ggf usw p.ex art éd env sra sr dra pág
    núm ej jan feb mar apr jun jul aug sep sept oct nov dec
    """
)
_MAY_END = frozenset({"no", "usw", "st", "est", "p", "ed", "mar", "art"})
"""Abbreviations that are also words or end sentences: they count as abbreviations before a figure only."""


def split(text: str) -> list[str]:
    """The sentences of a running text, each on one line. A last one without an end is given too."""
    text = _FOOTNOTE.sub(r"\1", _SPACE.sub(" ", text)).strip()
    sentences = []
    start = 0
    for match in _END.finditer(text):
        if _is_abbreviation(text[start : match.start()], match[0], text[match.end() : match.end() + 20]):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    if rest := text[start:].strip():
        sentences.append(rest)
    return sentences


def _is_abbreviation(before: str, mark: str, following: str) -> bool:
    """Whether the full stop after `before` belongs to an abbreviation or an initial."""
    if not mark.startswith("."):
        return False
    if following[:1].islower():
        return True
    word = before.rpartition(" ")[2].lstrip(marks.OPENING + "[")
    if len(word) == 1 and word.isupper():  # an initial, unless a sentence begins: "in Appendix A. This …"
        return following.split()[0].lower() not in ALL_STOP_WORDS
    if word.casefold() in _MAY_END:
        return following[:1].isdigit()
    return word.casefold() in _ABBREVIATIONS

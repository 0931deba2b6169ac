"""How well a sentence stands alone: 0 for what no summary should show, 1 for a plain statement, a little more for the
best.

TextRank knows what is central, not what is readable; the two are multiplied.
"""

from __future__ import annotations

import re

from services.local_model import cues, marks
from services.local_model.languages import ALL_STOP_WORDS

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_WIDE = re.compile(f"[{marks.WIDE}]")
_STARTS = re.compile(rf"[{marks.OPENING}¿¡]?[^\W\d_]")
_ENDS = re.compile(rf"[.!。\uff01][{marks.CLOSING}\]]*$")

_JUNK = re.compile(
    r"^(?:chapter|section|part|kapitel|abschnitt|teil|chapitre|capítulo|figure|table)\s\w{1,4}:"
    r"|\. ?\. ?\.|…|https?:|www\.|\S@\S|<-|[{}|\\~^]|==|::|:=|\$\w|\w=\w"
    r"|©|\(c\)|copyright|all rights reserved|permission is granted|isbn|table of contents|warranty"
    r"|free software|gnu (?:general )?public licen[sc]e|tous droits réservés|alle rechte vorbehalten"
    r"|todos los derechos",
    re.IGNORECASE,
)
_RUNS_ON = re.compile(r"(?:[^\W\d_]{4,}|\))[\")”’]*\.\s+[a-zà-ÿ]")
_CODE_WORD = re.compile(r"\w+\(\)?|\w+[._/]\w+|--?\w+(?=\s)|\b[a-z]+[A-Z]\w*|\b\w*\d\w*\b|\[.*?\]")
_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"))

_SHORTEST, _LONGEST = 40, 320  # characters

_WEIGHTS = (
    (cues.LEANS_BACK.match, 0.35),
    (cues.TALKS.match, 0.6),
    (cues.POINTS_AWAY.search, 0.45),
    (cues.THANKS.search, 0.2),
    (cues.SUPPOSES.search, 0.5),
    (cues.LEANS_INSIDE.search, 0.6),
    (_RUNS_ON.search, 0.3),  # two sentences, wrongly split
    (cues.DEFINES.match, 1.35),
    (cues.DEFINITE.match, 0.8),  # "The value is …": of what, stands elsewhere
)


def worth(sentence: str) -> float:
    """The weight of a sentence in a summary; 0 where it is a fragment, code, an entry or boilerplate."""
    wide = len(_WIDE.findall(sentence))
    if not _SHORTEST <= len(sentence) + wide <= _LONGEST:
        return 0.0
    if not _STARTS.match(sentence) or not _ENDS.search(sentence) or _JUNK.search(sentence):
        return 0.0
    letters = sum(map(str.isalpha, sentence)) + sentence.count(" ")
    if letters < 0.85 * len(sentence) or not _balanced(sentence):
        return 0.0
    if wide > 0.2 * len(sentence):
        return 1.0  # the rules below know words between spaces
    if not sentence.lstrip(marks.OPENING + "¿¡")[0].isupper():
        return 0.0
    return _weight(sentence)


def _weight(sentence: str) -> float:
    words = _WORD.findall(sentence)
    common = sum(word.lower() in ALL_STOP_WORDS for word in words)
    large = sum(word[0].isupper() for word in words)
    if len(words) < 6 or common < 0.12 * len(words) or large > 0.5 * len(words):
        return 0.0
    weight = 1.0
    for applies, factor in _WEIGHTS:
        if applies(sentence):
            weight *= factor
    if not cues.VERB.search(sentence):
        weight *= 0.3 if ":" in sentence else 0.6  # often a phrase or a caption
    if sentence.startswith(("(", '"', "“")):
        weight *= 0.6
    if len(words) > 32:
        weight *= 0.75
    elif len(words) < 9:
        weight *= 0.8
    return weight * 0.75 ** len(_CODE_WORD.findall(sentence))


def _balanced(sentence: str) -> bool:
    return all(sentence.count(opening) == sentence.count(closing) for opening, closing in _PAIRS)

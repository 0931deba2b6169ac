"""How well a sentence stands alone: 0 for what no summary should show, 1 for a plain statement, a little more for the
best.

TextRank knows what is central, not what is readable; the two are multiplied.
"""

from __future__ import annotations

import re

from services.local_model import cues, marks
from services.local_model.languages import ALL_STOP_WORDS

_WIDE = re.compile(f"[{marks.WIDE}]")
_STARTS = re.compile(rf"[{marks.OPENING}¿¡]?[^\W\d_]")
_ENDS = re.compile(rf"[.!。\uff01][{marks.CLOSING}\]]*$")

_JUNK = re.compile(
    r"^(?:chapter|section|part|kapitel|abschnitt|teil|chapitre|capítulo|figure|table)\s\w{1,4}:"
    r"|\. ?\. ?\.|…|https?:|www\.|\S@\S|<-|[{}|\\~^]|==|::|:=|\$\w|\w=\w"
    r"|©|\(c\)|copyright|all rights reserved|permission is granted|isbn|table of contents|warranty"
    r"|free (?:software|documentation)|(?:of the|this) licen[sc]e|under the terms of"
    r"|gnu (?:general )?public licen[sc]e|tous droits réservés|alle rechte vorbehalten|todos los derechos",
    re.IGNORECASE,
)
_RUNS_ON = re.compile(r"\.(?:(?<=[^\W\d_]{4}\.)|(?<=[\")”’]\.))\s+[a-zà-ÿ]")
_CODE = re.compile(r"\w\(|\w[._/]\w|\s--?\w|[a-z][A-Z]|\d+|\[")
_AROUND = marks.OPENING + marks.CLOSING + ".,;:!?[]"
_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"))

_SHORTEST, _LONGEST = 40, 320  # characters

_BEGINS = (
    (cues.LEANS_BACK, 0.35),
    (cues.TALKS, 0.6),
    (cues.DEFINES, 1.35),
    (cues.DEFINITE, 0.8),  # "The value is …": of what, stands elsewhere
)
_HOLDS = (
    (cues.THANKS, 0.2),
    (cues.SUPPOSES, 0.5),
    (cues.LEANS_INSIDE, 0.6),
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
    tokens = sentence.split()
    words = [token.strip(_AROUND).lower() for token in tokens]
    common = sum(word in ALL_STOP_WORDS for word in words)
    large = sum(token[0].isupper() for token in tokens)
    if len(words) < 6 or common < 0.12 * len(words) or large > 0.5 * len(words):
        return 0.0
    weight = 1.0
    for pattern, factor in _BEGINS:
        if pattern.match(sentence):
            weight *= factor
    said = set(words)
    for cue, factor in _HOLDS:
        if said & cue:
            weight *= factor
    if said & cues.MAY_POINT and cues.POINTS_AWAY.search(sentence):
        weight *= 0.45
    if _RUNS_ON.search(sentence):
        weight *= 0.3  # two sentences that were not told apart
    if not said & cues.VERBS:
        weight *= 0.3 if ":" in sentence else 0.6  # often a phrase or a caption
    if sentence.startswith(("(", '"', "“")):
        weight *= 0.6
    if len(words) > 32:
        weight *= 0.75
    elif len(words) < 9:
        weight *= 0.8
    return weight * 0.75 ** len(_CODE.findall(sentence))


def _balanced(sentence: str) -> bool:
    return all(sentence.count(opening) == sentence.count(closing) for opening, closing in _PAIRS)

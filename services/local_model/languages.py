"""Which language a text is in, by a vote of its commonest words; and the words that carry no meaning of their own."""

from __future__ import annotations

import re
from collections import Counter

_WORDS = {
    "en": "the of and to in is that for it as with be on by this are or from an at which not have was can if when "
    "were has but will all one been there their they you we used may also into than its then these would such only "
    "other more some each where any should does must how what most many no so do he she his her i a",
    "de": "der die das und ist in den von zu mit nicht auf für im ein eine es sich dem des als auch an werden aus bei "
    "wird sind oder nach wie dass kann durch wenn nur einer um noch über einen diese dieser sie er ich wir zum zur "
    "haben hat war einem eines so man aber vor am bis mehr sein ihre kein keine müssen sollte sollten können",
    "fr": "de la le les et des en un une du est que pour dans qui par sur pas plus avec au ce il sont ne ou se cette "
    "son comme aux être vous nous mais ces peut leur elle ses sa si on fait été tous tout même entre sans dont ont "
    "votre doit cela ainsi",
    "es": "de la que el en y los se del las un por con no una su para es al lo como más o pero sus le ha este si "
    "porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni "
    "son puede ser cada",
    "it": "di e il la che in un per è una del non con le si da sono come dei al più nel della alla gli ma lo anche o "
    "se delle su questo ha essere dal nella ad i tra questa può ogni",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas ao ele das à seu sua ou "
    "quando muito nos já também pelo pela até isso entre são pode cada",
    "nl": "de het een en van in is dat op te zijn met voor niet aan er om ook als dan maar bij door of uit naar wordt "
    "worden deze kan over tot hij zij ze wat nog meer heeft hebben moet geen dit die",
}


def listed(text: str) -> frozenset[str]:
    """The words of a text that lists them, apart by white space."""
    return frozenset(text.split())


STOP_WORDS = {language: listed(words) for language, words in _WORDS.items()}
ALL_STOP_WORDS = frozenset().union(*STOP_WORDS.values())

_WORD = re.compile(r"[^\W\d_]+")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")

_SAMPLE = 6_000  # characters: more would not change the vote
_LEAST = 3  # common words that a language needs to be named
_AT_HOME = 0.2  # of a sentence's words: no need to ask further
_LEAST_SHARE = 0.08  # of all words; running text has 0.3 to 0.5, a list of names next to none


def guess(text: str) -> str:
    """The language's BCP 47 code, "und" where the text is too short or of a language that is not known here."""
    sample = text[:_SAMPLE]
    scripts = {"ja": len(_KANA.findall(sample)), "ko": len(_HANGUL.findall(sample)), "zh": len(_HAN.findall(sample))}
    letters = sum(map(str.isalpha, sample)) or 1
    for language, found in scripts.items():
        if found > 0.2 * letters:
            return language
    words = Counter(_WORD.findall(sample.lower()))
    votes = {language: sum(words[word] for word in common) for language, common in STOP_WORDS.items()}
    best = max(votes, key=votes.__getitem__)
    if votes[best] < max(_LEAST, _LEAST_SHARE * words.total()):
        return "und"
    return best


def is_foreign(sentence: str, main: str) -> bool:
    """Whether a sentence is evidently in another language than `main`."""
    common = STOP_WORDS.get(main)
    if common is None:
        return False
    words = _WORD.findall(sentence.lower())
    if sum(word in common for word in words) >= _AT_HOME * len(words):
        return False
    return guess(sentence) not in (main, "und")

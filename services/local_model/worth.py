"""How well a sentence stands alone: 0 for what no summary should show, 1 for a plain statement, a little more for the best.

TextRank knows what is central, not what is readable; the two are multiplied.
"""

from __future__ import annotations

import re

from services.local_model.languages import ALL_STOP_WORDS

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_WIDE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_STARTS = re.compile(r"[\"'“‘«„(¿¡]?[^\W\d_]")
_ENDS = re.compile(r"[.!。！][\"'”’»)\]]*$")

_JUNK = re.compile(
    r"^(?:chapter|section|part|kapitel|abschnitt|teil|chapitre|capítulo|figure|table)\s\w{1,4}:|\. ?\. ?\.|…|©|https?:|www\.|\S@\S|<-|[{}|\\~^]|==|::|:=|\$\w|\w=\w|\(c\)"
    r"|copyright|all rights reserved|permission is granted|isbn|table of contents|warranty"
    r"|tous droits réservés|alle rechte vorbehalten|todos los derechos|free software|gnu (?:general )?public licen[sc]e",
    re.IGNORECASE,
)
_POINTS_AWAY = re.compile(
    r"\b(?:see|cf\.|siehe|vgl\.|voir|véase|ver)\s+(?:also\s+)?(?:the\s+)?(?:section|chapter|appendix|figure|table|page|help|"
    r"abschnitt|kapitel|abbildung|tabelle|seite|chapitre|figure|tableau|sección|capítulo|figura|[A-Z\d“\"\[])"
    r"|\b(?:following|above|below|previous|next|folgende\w*|oben|unten|suivant\w*|ci-dessus|ci-dessous|siguiente\w*)\b"
    r"|\b(?:in|to|of|from|and|im|in|aus|dans|en)\s(?:section|chapter|appendix|abschnitt|kapitel|anhang|chapitre|annexe|"
    r"sección|capítulo)\s[\dA-Z]"
    r"|^(?:chapter|section|figure|table|appendix|kapitel|abschnitt|abbildung|chapitre|sección|capítulo)\s[\dA-Z]"
    r"|\b(?:figure|fig\.|table|tabelle|abbildung|tableau|equation)\s+\d",
    re.IGNORECASE,
)
_LEANS_BACK = re.compile(
    r"(?!(?:this|dies\w*|ce|cet|est[ea])\s(?:document|manual|guide|book|report|paper|article|study|thesis|handbook|text|"
    r"dokument|handbuch|buch|bericht|leitfaden|manuel|livre|rapport|documento|libro|informe)\b)"
    r"(?:e\.g\.|i\.e\.|this|these|that|those|it|its|they|he|she|his|her|their|such|here|hence|thus|therefore|however|then|so|but|and|or|"
    r"also|again|similarly|likewise|conversely|otherwise|moreover|furthermore|instead|consequently|nevertheless|finally|"
    r"as (?:we|you|they|it|always|noted|mentioned|seen|described|discussed|stated|usual)|the (?:values?|results?|output|answer) (?:is|are|of)|"
    r"both|another|other|only|examples?|more \w+ly|most \w+ly|there (?:is|are)|in this|in that|in these|in addition|in other words|for example|for instance|for this|as before|as with|"
    r"on the other hand|at this point|of course|the (?:first|second|third|last|latter|former|same|other|result|remaining)\b|"
    r"dies\w*|es|sie|er|daher|deshalb|jedoch|aber|und|somit|dabei|dazu|damit|hier|außerdem|zum beispiel|"
    r"ce|cet|cette|ces|il|ils|elle|elles|cela|ceci|donc|mais|ainsi|cependant|par exemple|"
    r"weiterhin|andernfalls|von daher|natürlich|auf jeden fall|als letzter\w*|vielleicht|ebenso|ferner|zudem|danach|dann|"
    r"trotzdem|allerdings|schließlich|beispielsweise|manchmal|de plus|en outre|ensuite|alors|enfin|toutefois|sinon|"
    r"d['’]autres|because of|there we|est[eaos]+|es[eaos]+|pero|así|además|por ejemplo)\b",
    re.IGNORECASE,
)
_TALKS = re.compile(
    r"(?:note|recall|suppose|consider|let|notice|remember|assume|imagine|we|i|if|when|to|you|your|try|please|bitte|veuillez|use|see|do not|don't|"
    r"save|set|make|add|remove|type|enter|click|press|start|run|choose|select|check|create|specify|print|write|"
    r"produces|returns|creates|specifies|suppresses|causes|gives|prints|sets|adds|forces|controls|"
    r"beachten|falls|wenn|notez|si|nous|vous|wir)\b",
    re.IGNORECASE,
)
_DEICTIC = re.compile(
    r"\s(?:again|later|earlier|this|these|those|such an?|in that|as follows|dies\w{1,2}|cette|ces|cet|est[ea]s?)[\s,.;]", re.IGNORECASE
)
_DEFINES = re.compile(
    r"^(?:(?:a|an|ein|eine|un|une|una)\s)?(?!(?:the|der|die|das|le|la|les|el|los|las|there|il)\s)(?:[\w+#/’'-]+\s){1,4}"
    r"(?:is|are|provides?|allows?|describes?|consists? of|contains?|ist|sind|beschreibt|bietet|enthält|est|sont|décrit|"
    r"fournit|contient|es|son|contiene)\s",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:acknowledge|thank|grateful|gratefully|dank|remerci|agradec)", re.IGNORECASE)
_EXAMPLE = re.compile(r"\b(?:suppose|consider|imagine|betrachten|considérons|supposons|considere)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|has|have|had|can|may|might|will|must|should|could|would|do|does|did|ist|sind|war|wird|werden|"
    r"kann|können|hat|haben|muss|müssen|soll|sollte|est|sont|peut|peuvent|doit|doivent|ont|sera|es|son|fue|puede|pueden|"
    r"debe|deben|ha|han|è|sono|può|são|pode|zijn|wordt|kunnen)\b",
    re.IGNORECASE,
)
_DEFINITE = re.compile(r"(?:the|der|die|das|le|la|les|el|los|las)\s", re.IGNORECASE)
_RUNS_ON = re.compile(r"(?:[^\W\d_]{4,}|\))[\")”’]*\.\s+[a-zà-ÿ]")
_CODE_WORD = re.compile(r"\w+\(\)?|\w+[._/]\w+|--?\w+(?=\s)|\b[a-z]+[A-Z]\w*|\b\w*\d\w*\b|\[.*?\]")

_SHORTEST, _LONGEST = 40, 320  # characters


def worth(sentence: str) -> float:
    """The weight of a sentence in a summary; 0 where it is a fragment, code, an entry or boilerplate."""
    wide = len(_WIDE.findall(sentence))
    length = len(sentence) + wide  # a Chinese character says about as much as two Latin ones
    if not _SHORTEST <= length <= _LONGEST or not _STARTS.match(sentence) or not _ENDS.search(sentence):
        return 0.0
    if not wide and not sentence.lstrip("\"'“‘«„(¿¡")[0].isupper():
        return 0.0
    if _JUNK.search(sentence) or not _balanced(sentence):
        return 0.0
    letters = sum(map(str.isalpha, sentence)) + sentence.count(" ")
    if letters < 0.85 * len(sentence):
        return 0.0
    if wide > 0.2 * len(sentence):
        return 1.0  # the rules below know words between spaces
    return _weight(sentence)


def _weight(sentence: str) -> float:
    words = _WORD.findall(sentence)
    common = sum(word.lower() in ALL_STOP_WORDS for word in words)
    large = sum(word[0].isupper() for word in words)
    if len(words) < 6 or common < 0.12 * len(words) or large > 0.5 * len(words):
        return 0.0
    weight = 1.0
    if _LEANS_BACK.match(sentence):
        weight *= 0.35
    if _RUNS_ON.search(sentence):
        weight *= 0.3
    if _TALKS.match(sentence):
        weight *= 0.6
    if _POINTS_AWAY.search(sentence):
        weight *= 0.45
    if _THANKS.search(sentence):
        weight *= 0.2
    if _EXAMPLE.search(sentence):
        weight *= 0.5
    if not _VERB.search(sentence):
        weight *= 0.7  # often a phrase or a caption
    if _DEICTIC.search(sentence):
        weight *= 0.6
    if _DEFINES.match(sentence):
        weight *= 1.35
    elif _DEFINITE.match(sentence):
        weight *= 0.8
    weight *= 0.75 ** len(_CODE_WORD.findall(sentence))
    if sentence.startswith(("(", '"', "“")):
        weight *= 0.6
    if len(words) > 32:
        weight *= 0.75
    elif len(words) < 9:
        weight *= 0.8
    return weight


def _balanced(sentence: str) -> bool:
    return all(
        sentence.count(opening) == sentence.count(closing) for opening, closing in (("(", ")"), ("[", "]"), ("“", "”"))
    )

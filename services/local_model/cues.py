"""Words that tell what kind of sentence it is, in the languages that are known here: where it leans on its neighbours,
where it speaks to its reader, where it defines."""

from __future__ import annotations

import re

from services.local_model.languages import listed


def _words(*languages: str) -> str:
    """An alternative of all words and phrases, which stand apart by ` | ` or line ends."""
    phrases = [phrase.strip() for text in languages for phrase in re.split(r" \| |\n", text)]
    return "(?:" + "|".join(phrase for phrase in phrases if phrase) + ")"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


ITSELF = _words(
    "document | manual | guide | book | report | paper | article | study | thesis | handbook | introduction | text",
    "dokument | handbuch | buch | bericht | leitfaden",
    "manuel | livre | rapport",
    "documento | libro | informe",
)
"""What a document calls itself."""

SPEAKS_OF_ITSELF = _pattern(rf"\b(?:this|the|our|dies\w*|das|ce|le|est[ea]|el)\s{ITSELF}\b")

LEANS_BACK = _pattern(
    rf"(?!(?:this|dies\w*|ce|cet|est[ea])\s{ITSELF}\b)"
    + _words(
        """this | these | that | those | it | its | they | he | she | his | her | their | such | here | both | another
        other | only | examples? | more \\w+ly | most \\w+ly | there (?:is|are) | there we
        an? (?:much |even )?(?:more|less|further|second|third|similar|related|better|alternative)
        the (?:first|second|third|last|latter|former|same|other|remaining) | the (?:values?|results?|output|answer)
        e\\.g\\. | i\\.e\\. | hence | thus | therefore | however | then | so | but | and | or | also | again | similarly
        likewise | conversely | otherwise | moreover | furthermore | instead | consequently | nevertheless | finally
        in (?:this|that|these|addition|other words) | for (?:example|instance|this) | because of | on the other hand
        at this point | of course
        as (?:we|you|they|it|before|with|always|noted|mentioned|seen|described|discussed|stated|usual)""",
        """dies\\w* | es | sie | er | daher | deshalb | jedoch | aber | und | somit | dabei | dazu | damit | hier
        außerdem | zum beispiel | weiterhin | andernfalls | von daher | natürlich | auf jeden fall | als letzter\\w*
        vielleicht | ebenso | ferner | zudem | danach | dann | trotzdem | allerdings | schließlich | beispielsweise
        manchmal""",
        """ce | cet | cette | ces | il | ils | elle | elles | cela | ceci | donc | mais | ainsi | cependant
        par exemple | de plus | en outre | ensuite | alors | enfin | toutefois | sinon | d['’]autres""",
        "est[eaos]+ | es[eaos]+ | pero | así | además | por ejemplo",
    )
    + r"\b"
)
"""A sentence that begins so needs the one before it. "This document" does not."""

LEANS_INSIDE = listed(
    """
    again later earlier this these those follows
    dies diese dieser dieses diesen diesem
    cette ces cet esta este estas
    """
)

_NEAR = listed(
    """
    following above below previous next folgend folgende folgenden folgendes oben unten
    suivant suivante suivants suivantes ci-dessus ci-dessous siguiente siguientes
    """
)
_PLACES = listed(
    """
    section chapter appendix figure table page equation help abschnitt kapitel anhang abbildung tabelle seite
    chapitre annexe tableau sección capítulo figura tabla
    """
)
_PLACE, _NEARBY = (f"(?:{'|'.join(sorted(words))})" for words in (_PLACES, _NEAR))
POINTS_AWAY = _pattern(
    rf"\b(?:see|cf\.|siehe|vgl\.|voir|véase|ver)\s+(?:also\s+)?(?:the\s+)?(?:{_PLACE}|[A-Z\d“\"\[])"
    rf"|\b(?:in|to|of|from|and|im|aus|dans|en)\s{_PLACE}\s[\dA-Z]"
    rf"|^{_PLACE}\s[\dA-Z]|\b(?:figure|fig\.|table|tabelle|abbildung|tableau|equation)\s\d"
    rf"|\b{_NEARBY}\b"
)
"""It shows something that a summary does not have: a figure, another section, the lines below."""
MAY_POINT = _PLACES | _NEAR | listed("see cf siehe vgl voir véase ver fig")
"""Words of which a sentence has one if it points away: looking for these takes a tenth of the time."""

TALKS = _pattern(
    _words(
        """note | recall | suppose | consider | let | notice | remember | assume | imagine | we | i | if | when | to
        you | your | try | please | use | see | do not | don't | since | although | though | while | where | once
        control | save | set | make | add | remove | type | enter | click | press | start | run | choose | select
        check | create | specify | print | write | produces | returns | creates | specifies | suppresses | causes
        gives | prints | sets | adds | forces | controls""",
        "bitte | beachten | falls | wenn | wir",
        "veuillez | notez | si | nous | vous",
    )
    + r"\b"
)
"""It speaks to its reader, tells a condition, or lacks its subject."""

SUPPOSES = listed("suppose consider imagine betrachten considérons supposons considere")
THANKS = listed("acknowledge acknowledged thank thanks grateful gratefully dank danken remercier remercions agradecer")

_ARTICLES = r"(?:the|der|die|das|le|la|les|el|los|las)"
DEFINES = _pattern(
    rf"^(?:(?:an?|eine?|une?|una)\s)?(?!(?:{_ARTICLES}|there|il)\s)(?:[\w+#/’'-]+\s){{1,4}}"
    + _words(
        "is | are | provides? | allows? | describes? | consists? of | contains?",
        "ist | sind | beschreibt | bietet | enthält",
        "est | sont | décrit | fournit | contient",
        "es | son | contiene",
    )
    + r"\s"
)
DEFINITE = _pattern(rf"{_ARTICLES}\s")

VERBS = listed(
    """
    is are was were be has have had can may might will must should could would do does did
    ist sind war wird werden kann können hat haben muss müssen soll sollte
    est sont peut peuvent doit doivent ont sera
    es son fue puede pueden debe deben ha han
    è sono può são pode zijn wordt kunnen
    """
)
"""Verbs of which most full sentences of a manual have one."""

"""Lines that are program text, commands, output or figures rather than prose."""

from __future__ import annotations

import re

from services.local_model.languages import ALL_STOP_WORDS

_PROMPT = re.compile(r"(?:>>>|#{1,3}|[>$%+]|In \[\d+\]:|\[\d+\])\s+\S|#(?:include|define|if|endif|pragma|!)|//|/\*|\*/")
_COMMAND = re.compile(r"(?:>>>|[>$]|In \[\d+\]:|\[\d+\])\s+\S|#(?:include|define|if|endif|pragma|!)")
_SHAPE = re.compile(
    r"<-\s|[^<]=[=>]|!=|&&|\|\||\+\+;|->\w|\);?$|[{};]$|^[{})\]]+[;,]?$|^\w[\w.]*\(.*\)\s*[;{]?$"
    r"|^(?:def|class|return|import|from|using|namespace|template|void|int|char|const|static|struct|public|private|else"
    r"|while|for|if)\b.*[:;{(]$|^\s*\w+\s*=\s*\S+$|^-{1,2}\w[\w-]*$|^\S+/\S+/\S*$"
)
_SYMBOL = re.compile(r"[{}\[\]<>=;$\\/|&*+~^%#@_]")
_WORD = re.compile(r"[^\W\d_]+")


def is_command(line: str) -> bool:
    """Whether a line begins as only program text does: a prompt, an output's index, a preprocessor's word."""
    return _COMMAND.match(line.strip()) is not None


def is_code(line: str, *, after_code: bool = False) -> bool:
    """Whether a line is to stand as it is. `after_code`: the line before was; less evidence is needed then."""
    text = line.strip()
    if not text:
        return False
    if is_data(text):
        return True
    if _PROMPT.match(text) and not (text[0] in "#>*" and reads_as_prose(text[1:])):
        return True
    if reads_as_prose(text):
        return False
    if _SHAPE.search(text) or len(_SYMBOL.findall(text)) > 0.12 * len(text):
        return True
    return after_code and (text[0].islower() or text[0] in "\"'([-.") and len(text) < 60 and text[-1] not in ".:?!"


def is_data(line: str) -> bool:
    """Whether a line is mostly figures: a row of numbers, output of a program."""
    text = line.replace(" ", "")
    digits = sum(map(str.isdigit, text))
    return len(text) >= 5 and digits > 0.45 * len(text) and len(line.split()) >= 3


def reads_as_prose(text: str) -> bool:
    """Whether a line is words in a grammar: common words among them, few signs."""
    words = _WORD.findall(text)
    if len(words) < 4:
        return False
    common = sum(word.lower() in ALL_STOP_WORDS and (len(word) > 1 or word in "aàyeo") for word in words)
    letters = sum(len(word) for word in words) + text.count(" ")
    return common >= max(2, 0.15 * len(words)) and letters > 0.78 * len(text)

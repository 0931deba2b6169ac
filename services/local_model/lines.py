"""The lines of a text layer, cleaned: hyphens at line ends mended, ligatures and control characters resolved."""

from __future__ import annotations

import re

# PDFium writes U+0002, other extractors U+FFFE or a soft hyphen, for a hyphen at a line's end.
_MENDED = re.compile(r"(\w)[\x02\ufffe\u00ad]\n?(\w)")
_BROKEN = re.compile(r"(?<=[^\W\d_]{2})[-\u2010]\n(?=[^\W\d_])")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " ", "\u2028": "\n"}
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\r\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff\ufffe\ue000-\uf8ff]")


def tidy(text: str) -> list[str]:
    """The text's lines without trailing spaces; empty lines are kept, they separate paragraphs."""
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    text = text.translate(_LIGATURES)
    text = _MENDED.sub(_mend, text)
    text = _CONTROLS.sub("", text)
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return _BROKEN.sub(_join, text).split("\n")


def _mend(match: re.Match[str]) -> str:
    """`pack-ages` is one word; `S-Plus` and `R-4` keep the hyphen."""
    return match[1] + ("" if match[2].islower() else "-") + match[2]


def _join(match: re.Match[str]) -> str:
    following = match.string[match.end()]
    return "" if following.islower() else "-"


def odd_share(text: str) -> float:
    """The share of characters that no clean text layer has: controls, private use, replacement characters (0 to 1)."""
    marks = text.count("\ufffd") + len(_CONTROLS.findall(text.replace("\r\n", "\n")))
    return marks / len(text) if text else 0.0

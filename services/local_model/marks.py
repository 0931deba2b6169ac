"""Quotation marks, brackets and ends of sentences, as pieces of character classes."""

from __future__ import annotations

QUOTES = "\"'“\u2018«„"
OPENING = QUOTES + "("
CLOSING = "\"'”’»)"
ENDS = ".!?。\uff01\uff1f"
"""Full stops, exclamation and question marks, of scripts without spaces too."""
WIDE = "\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af"
"""Japanese, Chinese, Korean: about two Latin letters each."""

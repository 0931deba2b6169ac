"""Blocks written as Markdown."""

from __future__ import annotations

import re

from services.local_model.blocks import Block, Kind, cells

_BULLET = re.compile(r"\A(?:[•◦▪‣●○■□–—*·\u2217⋆-]|\(?[a-z0-9]{1,2}\))\s+")
_NUMBER = re.compile(r"\d{1,2}\.\s")
_LEADERS = re.compile(r"\s*(?:(?:\s*\.\s?){4,}|…{2,}|(?:\s\.){3,})\s*")
_PAGES = re.compile(r"[,\s]+\d{1,4}(?:[–,\s-]+\d{1,4})*$")
_MEANS_SOMETHING = re.compile(r"(?=[#>]|[-+*]\s|```|\|)")


def markdown(found: list[Block]) -> str:
    """The page's text. Consecutive items and entries make one list."""
    parts: list[str] = []
    for place, block in enumerate(found):
        in_list = place > 0 and block.kind is found[place - 1].kind and block.kind in (Kind.ITEM, Kind.ENTRY)
        parts.append("\n" if in_list else "\n\n")
        parts.append(_written(block))
    return "".join(parts).strip()


def _written(block: Block) -> str:
    match block.kind:
        case Kind.HEADING:
            return f"{'#' * min(6, block.level)} {block.lines[0]}"
        case Kind.CODE:
            fence = "````" if any("```" in line for line in block.lines) else "```"
            return "\n".join([fence, *block.lines, fence])
        case Kind.TABLE:
            return table(block)
        case Kind.ITEM:
            text = " ".join(block.lines)
            return text if _NUMBER.match(text) else "- " + _BULLET.sub("", text, count=1)
        case Kind.ENTRY:
            return "- " + _LEADERS.sub(" … ", block.lines[0])
        case Kind.PARAGRAPH:
            return (
                _MEANS_SOMETHING.sub(r"\\", " ".join(block.lines), count=1)
                if _starts_oddly(block)
                else " ".join(block.lines)
            )


def _starts_oddly(block: Block) -> bool:
    """Whether a paragraph begins with a sign that Markdown would take for its own."""
    return _MEANS_SOMETHING.match(block.lines[0]) is not None


def label(block: Block) -> str:
    """A block in a few words: an entry without its page, else the first line."""
    line = block.lines[0]
    if block.kind is Kind.ENTRY:
        line = _PAGES.sub("", _LEADERS.split(line)[0])
    return line.strip(" ,;")


def table(block: Block) -> str:
    """A table block as a Markdown table; its first line is the head."""
    rows = [[cell.replace("|", "\\|") for cell in cells(line)] for line in block.lines]
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, f"|{' --- |' * len(rows[0])}", *body])

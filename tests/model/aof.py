"""An append-only file, read as a server reads it: commands, those of a MULTI … EXEC as one step."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Step(msgspec.Struct, frozen=True):
    """What takes effect at once. `end`: the byte of the file behind it."""

    commands: list[list[bytes]]
    end: int


def newest(folder: Path) -> Path:
    """The file that a server with `--dir folder` appends to."""
    return max((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def steps(text: bytes) -> list[Step]:
    """All that a server would load of this text, without an unfinished end. Raises ValueError for any other text."""
    found: list[Step] = []
    open_: list[list[bytes]] | None = None
    at = 0
    while (command := _command(text, at)) is not None:
        words, at = command
        match words[0].upper():
            case b"MULTI":
                open_ = []
            case b"EXEC":
                found.append(Step(open_ or [], at))
                open_ = None
            case _ if open_ is not None:
                open_.append(words)
            case _:
                found.append(Step([words], at))
    return found


def _command(text: bytes, at: int) -> tuple[list[bytes], int] | None:
    """The command that begins at this byte, and the byte behind it; None where there is no whole one."""
    count, at = _number(text, at, b"*")
    words = []
    for _ in range(count):
        length, at = _number(text, at, b"$")
        if length < 0 or at + length + 2 > len(text):
            return None
        words.append(text[at : at + length])
        at += length + 2
    return (words, at) if words else None


def _number(text: bytes, at: int, sign: bytes) -> tuple[int, int]:
    """The number behind `sign`, and the byte behind its line; −1 where the text ends before."""
    end = text.find(b"\r\n", at)
    if end < 0:
        return -1, len(text)
    if text[at : at + 1] != sign:
        raise ValueError(f"byte {at} is {text[at : at + 1]!r}, and {sign!r} must begin a number of an append-only file")
    return int(text[at + 1 : end]), end + 2

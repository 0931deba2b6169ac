"""`./quire dead`: what was given up, and why; what failed can go round again, or be left as it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.text import Text

from cli import outcome, server, wording
from cli.errors import CommandError
from shared.deadletters import STREAMS, DeadLetters, Letter, Replayed

ALL = "all"
_ID = re.compile(r"\d+-\d+")
_SHOWN = 50  # of one stream on a screen; --json has them all


async def list_all(stream: str | None, *, redis_url: str | None, as_json: bool) -> int:
    """Print the letters of all streams, or of one; `as_json`: `{"letters": […]}`."""
    names = list(STREAMS) if stream is None else [_known(stream)]
    async with server.connected(redis_url) as redis:
        found = {name: await DeadLetters(redis).of(name) for name in names}
    if as_json:
        letters = [letter for mine in found.values() for letter in mine]
        print(msgspec.json.encode({"letters": letters}).decode())
    elif any(found.values()):
        _list(outcome.console(), found)
    else:
        print("no dead letters")
    return 0


async def show(stream: str, id_: str, *, redis_url: str | None, as_json: bool) -> int:
    """Print one letter, with every field that it has."""
    name = _known(stream)
    async with server.connected(redis_url) as redis:
        letter = await _one(DeadLetters(redis), name, id_)
    if as_json:
        print(msgspec.json.encode(letter).decode())
    else:
        outcome.table(outcome.console(), {"letter": letter.id, "when": _when(letter), **letter.fields})
    return 0


async def replay(stream: str, id_: str, *, redis_url: str | None, as_json: bool) -> int:
    """Let what failed go round again; exit code 1 where nothing could."""
    name = _known(stream)
    async with server.connected(redis_url) as redis:
        letters = DeadLetters(redis)
        answers = await letters.replay(await _chosen(letters, name, id_))
    tried = sum(not answer.why for answer in answers)
    if as_json:
        print(msgspec.json.encode({"replayed": tried, "letters": answers}).decode())
    else:
        for answer in answers:
            if answer.why:
                print(f"{answer.letter.id} not replayed: {answer.why}")
        print(f"replayed {_of(tried, answers)}")
    return 0 if tried or not answers else 1


async def drop(stream: str, id_: str, *, redis_url: str | None, as_json: bool) -> int:
    """Remove letters; their gaps and their jobs stay as they are."""
    name = _known(stream)
    async with server.connected(redis_url) as redis:
        letters = DeadLetters(redis)
        dropped = await letters.drop(await _chosen(letters, name, id_))
    print(msgspec.json.encode({"dropped": dropped}).decode() if as_json else f"dropped {_letters(dropped)}")
    return 0


async def _chosen(letters: DeadLetters, stream: str, id_: str) -> list[Letter]:
    return await letters.of(stream) if id_ == ALL else [await _one(letters, stream, id_)]


async def _one(letters: DeadLetters, stream: str, id_: str) -> Letter:
    letter = await letters.get(stream, id_) if _ID.fullmatch(id_) else None
    if letter is None:
        raise CommandError(f"{stream} has no dead letter {id_!r}: `./quire dead list {stream}` shows those that it has")
    return letter


def _known(stream: str) -> str:
    name = stream.removesuffix(".dead")
    if name not in STREAMS:
        raise CommandError(f"there is no stream {stream!r}: choose one of {', '.join(STREAMS)}")
    return name


def _list(out: Console, found: dict[str, list[Letter]]) -> None:
    """Two lines a letter: ids are never broken, so that they can be copied."""
    for stream, letters in found.items():
        if not letters:
            continue
        out.print(Text(f"{stream}: {_letters(len(letters))}", style="bold"))
        if len(letters) > _SHOWN:
            out.print(Text(f"  the last {_SHOWN} of them; --json has them all"))
        for letter in letters[-_SHOWN:]:
            out.print(Text(f"  {letter.id}  {_when(letter)}  {letter.job}  {_where(letter)}".rstrip()), soft_wrap=True)
            tries = f", after {wording.counted(letter.attempts, 'counted failure')}" if letter.attempts else ""
            out.print(Text(f"      {letter.reason}{tries}"), soft_wrap=True)


def _where(letter: Letter) -> str:
    if letter.page is not None:
        return f"page {letter.page}"
    return "" if letter.batch is None else f"batch {letter.batch}"


def _when(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _letters(number: int) -> str:
    return wording.counted(number, "letter")


def _of(tried: int, answers: list[Replayed]) -> str:
    return _letters(tried) if tried == len(answers) else f"{tried} of {_letters(len(answers))}"

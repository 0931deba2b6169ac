"""The command line: what can be said, and which function does it.

Modules are imported when their command runs: `up` starts its processes before it would have loaded an HTTP client.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import uvloop

from cli import fleet
from cli.errors import CommandError

COUNTS = {"gateway": 1, "splitter": 2, "page_worker": 2, "aggregator": 1, "tts": 1, "keeper": 1}
"""Service -> how many processes of it, unless said otherwise."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code. 2: could not start or reach what it needs. 130: ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code: int = runner.run(options.run(options))
            sys.stdout.flush()
            return code
    except CommandError as error:
        print(f"quire: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `./quire stats | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="quire",
        description="Reads very large documents with a fleet of small services.",
        epilog="Settings are environment variables, listed in .env.example. `quire COMMAND --help` tells more.",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="run the fleet on this machine until ctrl-C")
    _add_fleet(up)
    up.set_defaults(run=_up)

    demo = commands.add_parser("demo", help="run the fleet, read one document with it, and end it again")
    demo.add_argument(
        "file", nargs="?", type=Path, help="a PDF or a folder of page images (default: a sample of 113 pages)"
    )
    _add_fleet(demo)
    demo.set_defaults(run=_demo)

    submit = commands.add_parser("submit", help="hand a document to a running fleet")
    submit.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="one PDF, one folder of page images, or page images"
    )
    submit.add_argument("--watch", action="store_true", help="show its progress and, in the end, its summary")
    submit.add_argument(
        "--out", type=Path, metavar="DIR", help="wait for the end; write the report and the result there"
    )
    _add_client(submit)
    submit.set_defaults(run=_submit)

    job = commands.add_parser("job", help="show how far a job is, and what came of it")
    job.add_argument("id")
    job.add_argument("--out", type=Path, metavar="DIR", help="write the report and the result there, as they are now")
    _add_client(job)
    job.set_defaults(run=_job)

    cancel = commands.add_parser("cancel", help="stop a job; what it has read so far stays")
    cancel.add_argument("id")
    _add_client(cancel)
    cancel.set_defaults(run=_cancel)

    stats = commands.add_parser("stats", help="show the fleet's processes and what waits, runs and has ended")
    _add_client(stats)
    stats.set_defaults(run=_stats)

    streams = commands.add_parser("streams", help="show what waits, runs and has failed in each stream, and with whom")
    _add_redis(streams)
    streams.set_defaults(run=_streams)

    dead = commands.add_parser("dead", help="look at what was given up, try it again, or drop it")
    _add_dead(dead)

    keys = commands.add_parser("keys", help="say who may ask the gateway, and how much")
    _add_keys(keys)
    return root


def _add_fleet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=_whole(1, 65535), help="of the API (default: 8080)")
    for service, count in COUNTS.items():
        command.add_argument(
            f"--{service.replace('_', '-').removesuffix('s')}s",
            dest=service,
            type=_whole(1, 1000),
            default=count,
            metavar="N",
            help=f"processes of this service (default: {count})",
        )


def _add_client(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--url", help="of the gateway (default: QUIRE_URL, else the fleet that runs here, else http://127.0.0.1:8080)"
    )
    command.add_argument("--json", action="store_true", help="one JSON object, for scripts")


def _add_redis(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--redis-url", metavar="URL", help="of the fleet's Redis (default: REDIS_URL, else the fleet that runs here)"
    )
    command.add_argument("--json", action="store_true", help="one JSON object, for scripts")


def _add_dead(command: argparse.ArgumentParser) -> None:
    verbs = command.add_subparsers(required=True, metavar="VERB", dest="verb")
    for verb, says in (
        ("list", "all dead letters, or those of one stream"),
        ("show", "one dead letter, with all that is known of it"),
        ("replay", "let what failed go round again, and remove the letter"),
        ("drop", "remove letters: what failed stays as it is"),
    ):
        made = verbs.add_parser(verb, help=says)
        made.add_argument("stream", nargs="?" if verb == "list" else None, help="such as pages.requested")
        if verb != "list":
            made.add_argument("id", help="of the letter" if verb == "show" else "of the letter, or all")
        _add_redis(made)
        made.set_defaults(run=_dead)


def _add_keys(command: argparse.ArgumentParser) -> None:
    verbs = command.add_subparsers(required=True, metavar="VERB", dest="verb")
    for verb, says in (
        ("add", "make a key; its token is shown once"),
        ("list", "all keys and their limits"),
        ("revoke", "take a key away"),
    ):
        made = verbs.add_parser(verb, help=says)
        if verb != "list":
            made.add_argument("name", help="of the key")
        if verb == "add":
            made.add_argument("--tenant", help="whose documents it sees (default: a tenant of the key's own name)")
            made.add_argument("--requests-per-s", type=float, metavar="N", help="requests a second")
            for limit in ("burst", "active-jobs", "pages-per-day", "pages-per-document", "body-bytes"):
                made.add_argument(f"--{limit}", type=_whole(1, 10**15), metavar="N")
        made.add_argument("--file", type=Path, help="default: API_KEYS_FILE")
        made.add_argument("--json", action="store_true", help="one JSON object, for scripts")
        made.set_defaults(run=_keys)


def _whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument: a whole number in these bounds."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}, got {text!r}")
        return int(text)

    return convert


def _up(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import up

    return up.up(_fleet(given))


def _demo(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import demo

    return demo.demo(given.file, _fleet(given))


def _fleet(given: argparse.Namespace) -> fleet.Options:
    return fleet.Options(port=given.port, counts={service: getattr(given, service) for service in COUNTS})


def _submit(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import submit

    return submit.submit(
        submit.Options(files=given.files, url=given.url, watch=given.watch, out=given.out, as_json=given.json)
    )


def _job(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import job

    return job.job(given.id, url=given.url, out=given.out, as_json=given.json)


def _cancel(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import job

    return job.cancel(given.id, url=given.url, as_json=given.json)


def _stats(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import stats

    return stats.stats(url=given.url, as_json=given.json)


def _streams(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import streams

    return streams.streams(redis_url=given.redis_url, as_json=given.json)


def _dead(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import dead

    match given.verb:
        case "list":
            return dead.list_all(given.stream, redis_url=given.redis_url, as_json=given.json)
        case "show":
            return dead.show(given.stream, given.id, redis_url=given.redis_url, as_json=given.json)
        case "replay":
            return dead.replay(given.stream, given.id, redis_url=given.redis_url, as_json=given.json)
    return dead.drop(given.stream, given.id, redis_url=given.redis_url, as_json=given.json)


def _keys(given: argparse.Namespace) -> Coroutine[None, None, int]:
    from cli import keys

    match given.verb:
        case "add":
            return keys.add(
                given.name, tenant=given.tenant, limits=keys.limits(given), file=given.file, as_json=given.json
            )
        case "list":
            return keys.list_all(file=given.file, as_json=given.json)
    return keys.revoke(given.name, file=given.file, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())

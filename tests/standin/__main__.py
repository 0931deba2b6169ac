"""The stand-in as a process: `python -m tests.standin --port 0 --latency-s 0.2-0.5 --rpm 600`.

Its first line on standard output is its port. It ends on SIGTERM or SIGINT with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import msgspec
import uvloop

from tests.standin.behaviour import Behaviour, Range
from tests.standin.server import serve


def _range(text: str) -> Range:
    low, _, high = text.partition("-")
    try:
        return (float(low), float(high)) if high else float(low)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected seconds as 0.5 or 0.2-0.8, got {text!r}") from error


def _behaviour(text: str) -> Behaviour:
    try:
        return msgspec.json.decode(text, type=Behaviour)
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"this is no behaviour: {error}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one (default)")
    parser.add_argument("--latency-s", type=_range, help="seconds before an answer, as 0.5 or 0.2-0.8")
    parser.add_argument("--rpm", type=int, help="requests a minute, enforced")
    parser.add_argument("--tpm", type=int, help="tokens a minute, enforced")
    parser.add_argument("--burst-s", type=float, help="what the limits' buckets hold, in seconds of refill")
    parser.add_argument(
        "--behaviour",
        type=_behaviour,
        default=Behaviour(),
        metavar="JSON",
        help="everything else, as in tests/standin/behaviour.py; the flags above win",
    )
    return parser.parse_args()


async def _main(behaviour: Behaviour, host: str, port: int) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with serve(behaviour, host=host, port=port) as model:
        sys.stdout.write(f"{model.port}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    arguments = _arguments()
    flags = {name: getattr(arguments, name) for name in ("latency_s", "rpm", "tpm", "burst_s")}
    chosen = msgspec.structs.replace(
        arguments.behaviour, **{name: value for name, value in flags.items() if value is not None}
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_main(chosen, arguments.host, arguments.port))
        except OSError as error:
            sys.exit(f"the stand-in cannot listen on port {arguments.port}: {error}")

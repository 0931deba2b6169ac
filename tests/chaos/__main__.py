"""`python -m tests.chaos --seconds 600 --seed 7 --report run.md`; also `make chaos SECONDS=600 SEED=7`.

Exit code 0: every promise was kept; 1: one was not, or the run could not be finished; 2: not on this system.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import sys
from pathlib import Path

import uvloop

from tests.chaos import report, schedule
from tests.chaos.report import Run
from tests.chaos.scale import FULL, SMALL
from tests.chaos.soak import soak


def main() -> int:
    options = _arguments()
    if sys.platform != "linux":
        sys.stderr.write("chaos: processes are limited and measured through Linux' kernel, so it runs there only\n")
        return 2
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    chosen = " ".join(["--small"] * options.small + [f"--only {kind}" for kind in options.only or ()])
    command = f"make chaos SECONDS={options.seconds} SEED={options.seed}" + (f" ARGS='{chosen}'" if chosen else "")
    say(f"seed {options.seed}; to repeat: {command}")
    run = Run(seed=options.seed, seconds=options.seconds, command=command)
    scale, kinds = SMALL if options.small else FULL, options.only or schedule.KINDS
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(soak(scale, run, keep=options.keep, kinds=kinds))
    told = report.markdown(run)
    say(told)
    if options.report:
        options.report.write_text(told)
    if run.wrong:
        say(f"broken promises: {len(run.wrong)}; to repeat: {command}")
    return 1 if run.wrong else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long faults go on (60)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the schedule and the load")
    parser.add_argument("--small", action="store_true", help="a small fleet with a short lease")
    parser.add_argument("--only", action="append", choices=schedule.KINDS, help="this kind of fault; may be repeated")
    parser.add_argument("--report", type=Path, help="write the report, Markdown, to this file as well")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this folder, which must be empty")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

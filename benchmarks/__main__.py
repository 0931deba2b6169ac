"""`python -m benchmarks`, also `make bench`: runs the scenarios and prints what they showed.

It leaves nothing behind, also on Ctrl-C: its folder and every process that it started are gone when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks import growth, machine, report
from benchmarks.errors import BenchmarkError
from benchmarks.parameters import RUNS
from benchmarks.runs import Run, Scenario
from benchmarks.scenarios import SCENARIOS


def main() -> int:
    """0: all figures are there; 1: a run failed; 2: not on this system; 130: ctrl-C."""
    options = _arguments()
    if sys.platform != "linux":
        print("benchmarks: CPU and memory are read from /proc, so they run on Linux only", file=sys.stderr)
        return 2
    machine.pin()
    chosen = [its for its in SCENARIOS if options.only in (None, its.name)]
    try:
        with (
            tempfile.TemporaryDirectory(prefix="quire-bench-") as workshop,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_run_all(chosen, Path(workshop), runs=1 if options.quick else RUNS))
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("benchmarks: stopped by a signal; all that was started has ended", file=sys.stderr)
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    names = list(dict.fromkeys(its.name for its in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help=f"one run of each scenario instead of {RUNS}")
    parser.add_argument("--only", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    return parser.parse_args()


async def _run_all(chosen: list[Scenario], workshop: Path, *, runs: int) -> None:
    out = report.console()
    shown: list[tuple[Scenario, list[Run]]] = []
    with _signals_cancel():
        for its in chosen:
            shown.append((its, []))
            todo = its.todo(runs)
            for number, once in enumerate(todo, 1):
                print(f"{its.title}: run {number} of {len(todo)}", file=sys.stderr, flush=True)
                shown[-1][1].append(await once(workshop))
    report.facts(out, machine.facts(shown[0][1][0].server, workshop))
    for its, found in shown:
        (growth if len(its.lengths) > 1 else report).scenario(out, its, found)


@contextmanager
def _signals_cancel() -> Iterator[None]:
    """The first signal cancels this task, so that everything is cleared away; more of them do not disturb that."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop() -> None:
        for signum in watched:
            loop.add_signal_handler(signum, lambda: None)
        task.cancel()

    for signum in watched:
        loop.add_signal_handler(signum, stop)
    try:
        yield
    finally:
        for signum in watched:
            loop.remove_signal_handler(signum)


if __name__ == "__main__":
    sys.exit(main())

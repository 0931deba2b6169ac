"""Hunts for as many examples as asked for: `python -m tests.model --examples 20000 --server redis-8 --shrink`."""

from __future__ import annotations

import argparse

from tests.model.hunt import hunt
from tests.model.servers import KINDS, running


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="embedded")
    parser.add_argument("--examples", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=60, help="rules an example; default: %(default)s")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest failing example")
    given = parser.parse_args()
    with running(given.server) as url:
        hunt(url, examples=given.examples, steps=given.steps, shrink=given.shrink)


if __name__ == "__main__":
    main()

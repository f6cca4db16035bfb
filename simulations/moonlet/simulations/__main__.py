"""`python -m moonlet.simulations replay FILE`: run a kept file again, and say what happens."""

import argparse
import logging
import sys
from pathlib import Path

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.replay import replay
from moonlet.simulations.search import told
from moonlet.telemetry import configure


def main(arguments: list[str]) -> int:
    """1 if the run fails, 0 if it passes, 2 if the file can't be run."""
    parser = argparse.ArgumentParser(prog="python -m moonlet.simulations")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("replay", help="run a .sim file again on today's code")
    verb.add_argument("file", type=Path)
    verb.add_argument("--exact", action="store_true", help="stop where the run differs from it")
    verb.add_argument(
        "--without", type=int, action="append", default=[], help="leave out a fault, from 1"
    )
    verb.add_argument("--events", action="store_true", help="print what happened")
    given = parser.parse_args(arguments)
    configure(logging.CRITICAL)
    try:
        run = replay(given.file, exact=given.exact, without=given.without)
    except (InvalidSettings, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if given.events:
        for event in run.trace.events:
            print(told(event))
    for number, fault in enumerate(run.hits, 1):
        print(f"{number:2}  {fault}")
    if run.error is None:
        print("passed")
        return 0
    print(f"{type(run.error).__name__}: {run.error}")
    print(f"failure: {run.failure}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

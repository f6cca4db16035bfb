"""Run seeds of one of the suite's scenarios until one fails, and say which.

Started by `mutants` on a changed copy of the tree, so it knows nothing of what was changed.
"""

import argparse
import json
import logging
import sys
import time

from moonlet.simulations.reference import reference
from moonlet.simulations.scenario import Scenario
from moonlet.telemetry import configure
from tests.simulations.hub import hubs, resting
from tests.simulations.workshop import lossy, trickle, workshop, zombies

SCENARIOS: dict[str, Scenario] = {
    "workshop": workshop,
    "zombies": zombies,
    "lossy": lossy,
    "trickle": trickle,
    "reference": reference,
    "hubs": hubs,
    "resting": resting,
}


def hunt(scenario: Scenario, seeds: range, seconds: float) -> dict[str, object]:
    """The first failing seed, how many passed before it, and what was broken."""
    started = time.monotonic()
    passed = 0
    for seed in seeds:
        if time.monotonic() - started > seconds:
            break
        run = scenario.run(seed)
        if run.error is not None:
            return {"seed": seed, "passed": passed, "failure": run.failure, "text": str(run.error)}
        passed += 1
    return {"seed": None, "passed": passed, "failure": "", "text": ""}


def main(arguments: list[str]) -> int:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="hunt")
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args(arguments)
    configure(logging.CRITICAL)
    seeds = range(given.first, given.first + given.seeds)
    print(json.dumps(hunt(SCENARIOS[given.scenario], seeds, given.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

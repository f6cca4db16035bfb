"""P9: one seed, one trace. A part of the seeds runs twice; both must be equal byte for byte.

Within one process other addresses, and what an earlier run left behind, come to light. What hangs
on the hashes of strings shows in another process: `make determinism` compares three.
"""

from __future__ import annotations

from typing import Final

from moonlet.simulations.errors import Diverged
from moonlet.simulations.run import run_twice
from moonlet.simulations.scenario import Run

TWICE_EVERY: Final = 50
"""One seed in so many runs twice."""


def check_determinism(run: Run) -> Diverged | None:
    """Run the seed again: None, or the first step or event in which the two differ."""
    scenario, seed = run.scenario, run.seed
    if scenario.run(seed).digest == run.digest:
        return None
    try:
        run_twice(lambda trace: scenario.run(seed, trace=trace))
    except Diverged as error:
        return error
    return Diverged(0, "Two runs differed, and two more did not.")

"""150 seeds of the reference scenario under all faults: no promise breaks, one digest per seed."""

import pytest

from moonlet.simulations.reference import reference
from moonlet.simulations.run import run_elsewhere
from tests.simulations import determinism

SHARE = 30


@pytest.mark.parametrize("first", range(0, 150, SHARE), ids="from seed {}".format)
def test_worlds_pass_and_are_the_same_whatever_the_hash_seed(first: int) -> None:
    seeds = range(first, first + SHARE)
    here = []
    for seed in seeds:
        run = reference.run(seed)
        run.check()
        here.append(run.digest)
    target = f"{determinism.__name__}:digest"
    for hash_seed in ("0", "1"):  # and this process's own, which is random
        assert run_elsewhere(target, seeds, hash_seed=hash_seed, timeout=100) == here

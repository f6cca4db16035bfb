"""Many plans of one calm run, without running what they share more than once.

A process of its own, the trunk, runs calmly, and forks one more for each plan at the moment when
its fault strikes: a plan costs what comes behind that, and a fork. Digests are those of whole runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final, NoReturn

import msgspec

from moonlet.simulations.errors import SimulationError
from moonlet.simulations.faults import Fault
from moonlet.simulations.scenario import Scenario, collect
from moonlet.simulations.search.exhausting import calm_profile, exhaust
from moonlet.simulations.search.trunk import BranchOutcome, Trunk, ending, outcome_of, stay_with
from moonlet.simulations.seed import Seed

CAN_FORK: Final = hasattr(os, "fork")

_LENGTH: Final = 4


def run_whole(
    scenario: Scenario, plans: Sequence[tuple[Fault, ...]], seed: int = 0, *, servers: int = 1
) -> Iterator[BranchOutcome]:
    """The outcome of each plan, run from its beginning in this process, in order."""
    for number, run in enumerate(exhaust(scenario, plans, seed, servers=servers)):
        yield outcome_of(number, run)


def run_branches(
    scenario: Scenario,
    plans: Sequence[tuple[Fault, ...]],
    seed: int = 0,
    *,
    servers: int = 1,
    jobs: int = 1,
) -> Iterator[BranchOutcome]:
    """The outcome of each plan once, as they end, `jobs` at a time; needs `CAN_FORK`.

    A plan that never strikes in the calm run is run whole at the end. Who stops asking ends all
    processes, and so does the end of this one, `kill -9` included. Raises `SimulationError` if the
    trunk dies.
    """
    reader, writer = os.pipe()
    here = os.getpid()
    with warnings.catch_warnings():  # of threads, such as a progress bar's: the trunk needs none
        warnings.simplefilter("ignore", DeprecationWarning)
        trunk = os.fork()
    if not trunk:
        os.close(reader)
        _be_the_trunk(scenario, plans, seed, servers, jobs, here, writer)
    os.close(writer)
    with contextlib.suppress(OSError):
        os.setpgid(trunk, trunk)  # as it does itself: who is first
    left = set(range(len(plans)))
    ended = None
    try:
        with os.fdopen(reader, "rb") as pipe:
            for outcome in _read(pipe):
                left.discard(outcome.number)
                yield outcome
        ended = os.waitpid(trunk, 0)[1]
    finally:
        if ended is None:
            os.killpg(trunk, signal.SIGKILL)
            os.waitpid(trunk, 0)
    if ended:
        raise SimulationError(
            f"the calm run came to no end, {ending(ended)}: {len(left)} of {len(plans)} plans "
            "were not tried. Run it alone: moonlet sim sweep"
        )
    rest = sorted(left)
    for outcome in run_whole(scenario, [plans[number] for number in rest], seed, servers=servers):
        yield msgspec.structs.replace(outcome, number=rest[outcome.number])


def _be_the_trunk(
    scenario: Scenario,
    plans: Sequence[tuple[Fault, ...]],
    seed: int,
    servers: int,
    jobs: int,
    parent: int,
    writer: int,
) -> NoReturn:
    """Run the trunk, and in its children the branches: neither returns to who forked."""
    code = 1
    try:
        os.setpgid(0, 0)  # so that it can be killed with its branches
        stay_with(parent)
        collect()  # what earlier runs left would be copied for each branch

        def tell(outcome: BranchOutcome) -> None:
            _send(pipe, outcome)

        with os.fdopen(writer, "wb") as pipe:
            profile = calm_profile(servers)
            trunk = Trunk(Seed(seed), profile, plans, jobs=jobs, tell=tell)
            run = scenario.run(seed, plan=trunk, profile=profile)
            if trunk.branch is None:
                trunk.end()
            else:
                number, mine = trunk.branch
                with os.fdopen(mine, "wb") as end:
                    end.write(msgspec.json.encode(outcome_of(number, run)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _send(pipe: BinaryIO, outcome: BranchOutcome) -> None:
    encoded = msgspec.json.encode(outcome)
    pipe.write(len(encoded).to_bytes(_LENGTH, "big") + encoded)
    pipe.flush()


def _read(pipe: BinaryIO) -> Iterator[BranchOutcome]:
    while head := pipe.read(_LENGTH):
        yield msgspec.json.decode(pipe.read(int.from_bytes(head, "big")), type=BranchOutcome)

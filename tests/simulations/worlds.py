"""Worlds for tests of the world itself: one run of a coroutine, and what it came to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from moonlet.agents import AgentType
from moonlet.simulations import Run, Scenario, World, faults
from moonlet.simulations.faults import Fault, Profile
from tests.agents.accounts import account_type

ACCOUNT = account_type(partitions=2)
CALM = Profile(latency=(100_000, 500_000))
CLUSTER = Profile(latency=(100_000, 500_000), servers=3, commit_latency=2_000_000)

Body = Callable[[World], Awaitable[None]]


def run(
    body: Body,
    *,
    seed: int = 0,
    agents: Sequence[AgentType[Any]] = (ACCOUNT,),
    hosts: int = 2,
    profile: Profile = CALM,
    plan: Sequence[Fault] = (),
    heal_within: str = "120s",
) -> Run:
    """One world without faults but those of `plan` and of the body's own verbs."""
    scenario = Scenario(
        name=f"{body.__module__}:{body.__qualname__}",
        body=body,
        agents=tuple(agents),
        faults=faults.none(),
        hosts=hosts,
        heal_within=heal_within,
    )
    return scenario.run(seed, plan=plan, profile=profile)


def passes(body: Body, **options: Any) -> Run:
    """Run it, and raise what it failed with."""
    found = run(body, **options)
    if found.error is not None:
        raise found.error
    return found

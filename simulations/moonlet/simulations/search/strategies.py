"""`fault_plans()`: plans of faults as a Hypothesis strategy, for tests under `@given`.

Hypothesis does well with a list of faults, and badly with scheduling or a seed (measured: the
simulation lab, §2.3); so this is what it is given. Hypothesis is needed for this module alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from moonlet.core.errors import InvalidSettings
from moonlet.simulations import faults as known_faults
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.faults import (
    DELAYS,
    DRIFTS,
    HANDLERS,
    HOSTS,
    LASTING,
    SERVER,
    SKEWS,
    UNSAFE,
    WIRE,
    Fault,
    FaultSet,
)
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.search.exhausting import calm_profile

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MS: Final = 1_000_000
SIZE_MAX: Final = 6
"""Faults in one plan, by default: what needs more is found by seeds."""

Target = Scenario | Callable[..., None]


def fault_plans(
    test: Target | None = None,
    *,
    faults: FaultSet | None = None,
    hosts: int = 3,
    horizon: Duration = "20s",
    max_size: int = SIZE_MAX,
) -> SearchStrategy[tuple[Fault, ...]]:
    """Plans for `scenario.run(seed, plan=plan)`: up to `max_size` faults, shrunk to few and early.

    With `test` (a simulated test, or its scenario) faults, hosts and horizon are its own, and
    faults hit single messages too: those of one calm run of it, made when the first is drawn.
    Without, only hosts and the server are hurt.
    """
    try:
        from hypothesis import strategies as st
    except ModuleNotFoundError:
        raise InvalidSettings("fault_plans() needs Hypothesis: pip install hypothesis") from None

    scenario = test if isinstance(test, Scenario) else getattr(test, "scenario", None)
    if test is not None and not isinstance(scenario, Scenario):
        raise InvalidSettings("fault_plans(test): give a test under @simulate, or its scenario")
    if isinstance(scenario, Scenario):
        faults, hosts = faults or scenario.faults, scenario.hosts
        horizon = scenario.horizon
    kinds = (faults or known_faults.all()).kinds
    names = [f"h{number}" for number in range(1, hosts + 1)]
    moments = st.integers(0, max(1, nanoseconds(horizon) // MS)).map(lambda ms: ms * MS)
    several: list[SearchStrategy[Fault]] = [
        st.builds(
            Fault,
            at=moments,
            kind=st.just(kind),
            target=st.sampled_from(names) if kind in {**HOSTS, **HANDLERS} else st.just("nats"),
            lasts=st.sampled_from(_lasting(kind)),
        )
        for kind in kinds
        if kind in HOSTS or kind in SERVER or kind in HANDLERS or kind in UNSAFE
    ]
    if isinstance(scenario, Scenario) and any(kind in WIRE for kind in kinds):
        several.append(st.deferred(lambda: _of_messages(st, scenario, kinds)))
    if not several:
        return st.just(())
    return st.lists(st.one_of(several), max_size=max_size).map(tuple)


def _lasting(kind: str) -> tuple[int, ...]:
    if kind == "power_loss":
        return 1, 2, 5
    return {"skew": SKEWS, "drift": DRIFTS}.get(kind, LASTING)


def _of_messages(st: Any, scenario: Scenario, kinds: tuple[str, ...]) -> SearchStrategy[Fault]:
    """Faults of the messages, and of the rare turns, that a calm run of the scenario has."""
    calm = scenario.run(0, plan=(), profile=calm_profile(min(scenario.replicas)), listen=True)
    places = [
        (node, key, attempt, kind)
        for node, key, attempt, possible, _ in calm.messages
        for kind in possible
        if kind in kinds
    ]
    if not places:
        return st.nothing()  # type: ignore[no-any-return]

    def fault(place: tuple[str, str, int, str], lasts: int) -> Fault:
        node, key, attempt, kind = place
        late = kind.startswith(("delay", "reorder"))
        return Fault(kind=kind, target=node, lasts=lasts if late else 0, key=key, attempt=attempt)

    return st.builds(fault, st.sampled_from(places), st.sampled_from(DELAYS))  # type: ignore[no-any-return]

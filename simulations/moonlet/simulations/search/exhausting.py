"""The exhaustive single-fault sweep: every message of a calm run times every fault it may have.

One fault a run, so a report is minimal already. Retries and polls of one kind differ little:
without `every`, only the first try of each message is hit, and hosts are hurt at these moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from moonlet.simulations.faults import WIRE, Fault, Profile
from moonlet.simulations.scenario import Run, Scenario

MS: Final = 1_000_000
DELAYS: Final = (600 * MS, 5_500 * MS)
HURT: Final = ("crash", "pause")
HURT_FOR: Final = 4_000 * MS
OFFSETS: Final = (-1, 1)
"""Nanoseconds before and behind a message at which its node is hurt."""


def single_faults(
    scenario: Scenario, seed: int = 0, *, every: bool = False, servers: int = 1
) -> list[tuple[Fault, ...]]:
    """All plans of one fault for that seed, hosts' and messages'."""
    calm = scenario.run(seed, plan=(), profile=calm_profile(servers), listen=True)
    plans: list[tuple[Fault, ...]] = []
    moments: set[tuple[str, int]] = set()
    for node, key, attempt, kinds, at_ns in calm.messages:
        if attempt and not every:
            continue
        for kind in kinds:
            if kind not in scenario.faults.kinds:
                continue
            for lasts in DELAYS if kind.startswith(("delay", "reorder")) else (0,):
                plans.append(
                    (Fault(kind=kind, target=node, lasts=lasts, key=key, attempt=attempt),)
                )
        if node.startswith("h"):
            moments.add((node, at_ns - calm.began_ns))
    for node, at in sorted(moments):
        for kind in HURT:
            if kind in scenario.faults.kinds:
                for offset in OFFSETS:
                    lasts = HURT_FOR
                    plans.append(
                        (Fault(at=max(0, at + offset), kind=kind, target=node, lasts=lasts),)
                    )
    return plans


def calm_profile(servers: int = 1) -> Profile:
    """No faults of chance, short latencies."""
    return Profile(
        regime="given",
        latency=(50_000, 200_000),
        servers=servers,
        commit_latency=300_000 if servers > 1 else 0,
    )


def exhaust(
    scenario: Scenario, plans: Sequence[tuple[Fault, ...]], seed: int = 0, *, servers: int = 1
) -> Iterator[Run]:
    """Run every plan; the caller looks at what failed."""
    assert all(fault.kind in WIRE or not fault.key for plan in plans for fault in plan)
    profile = calm_profile(servers)
    for plan in plans:
        yield scenario.run(seed, plan=plan, profile=profile)

"""How hard a seed's run is: which faults, how often, how slow, which server. Drawn once.

No single setting finds every bug (measured: simulation lab, §2.2), so a third of the seeds use a
random subset of the kinds at rates of their own, a third all kinds at one rate, and a third are
calm with a fault or two.
"""

from typing import Final

import msgspec

from moonlet.simulations.faults.kinds import FaultSet
from moonlet.simulations.seed import MILLION, Seed

RATES: Final = (10_000, 20_000, 50_000, 100_000, 200_000)
"""In millionths: of messages, and of world faults in the unit `WORLD_FAULTS` per horizon."""

EVEN_RATES: Final = (10_000, 50_000, 200_000)
LATENCIES: Final = ((50_000, 200_000), (200_000, 2_000_000), (1_000_000, 50_000_000))
"""Nanoseconds one way, from and to."""

COMMIT_LATENCIES: Final = (300_000, 3_000_000)


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`rates` are per kind, in millionths; `few` is the number of faults of a calm run.

    `latency` (from, to) and `commit_latency` are in nanoseconds. `core`: how many hosts come back
    when faults end, 0 for all. `commands`: how many a workload draws at most, 0 without a bound.
    """

    regime: str = "calm"
    rates: dict[str, int] = {}
    few: int = 0
    latency: tuple[int, int] = LATENCIES[1]
    servers: int = 1
    commit_latency: int = 0
    core: int = 0
    commands: int = 0


def draw_profile(seed: Seed, kinds: FaultSet, hosts: int, servers: tuple[int, ...]) -> Profile:
    """The profile of a seed."""
    dice = seed.dice("profile")
    regime = dice.pick(("swarm", "even", "calm"))
    rates: dict[str, int] = {}
    few = 0
    if regime == "swarm":
        count = dice.between(0, len(kinds.kinds))
        chosen = set(dice.sample(kinds.kinds, count))
        rates = {kind: dice.pick(RATES) for kind in kinds.kinds if kind in chosen}
    elif regime == "even":
        rate = dice.pick(EVEN_RATES)
        rates = dict.fromkeys(kinds.kinds, rate)
    elif kinds.kinds:
        few = dice.between(1, 2)
        rates = dict.fromkeys(sorted(dice.sample(kinds.kinds, min(few, len(kinds.kinds)))), 0)
    latency = dice.pick(LATENCIES)
    count = dice.pick(servers)
    commit_latency = dice.pick(COMMIT_LATENCIES) if count > 1 else 0
    core = dice.between(1, hosts) if kinds.kinds and dice.chance(MILLION // 3) else 0
    return Profile(
        regime=regime,
        rates=rates,
        few=few,
        latency=latency,
        servers=count,
        commit_latency=commit_latency,
        core=core % hosts,
    )

"""What if: five built-in scenarios, and random walks of prices."""

from collections.abc import Mapping
from random import Random
from typing import Final

from msgspec import Struct

from moonlet.satellites.aegis.messages import MonteCarloCompleted, StressTestCompleted
from moonlet.satellites.aegis.positions import Position, health
from moonlet.satellites.common import BPS, value_of


class StressScenario(Struct, frozen=True):
    """What happens to prices, in basis points: to dollar tokens, to all else, and by contagion.

    `haircut` is taken off the share of collateral that a lender recognizes.
    """

    stable: int
    volatile: int
    haircut: int


SCENARIOS: Final[Mapping[str, StressScenario]] = {
    "Historical Market Crash": StressScenario(stable=-200, volatile=-5_000, haircut=0),
    "Crypto Winter": StressScenario(stable=-100, volatile=-7_500, haircut=200),
    "DeFi Contagion": StressScenario(stable=-1_000, volatile=-4_000, haircut=1_000),
    "Regulatory Shock": StressScenario(stable=-1_300, volatile=-3_000, haircut=500),
    "Black Swan": StressScenario(stable=-3_000, volatile=-8_000, haircut=1_500),
}
"""Named as in YieldSensei; the figures are ours: stylized, not fitted."""

STABLE: Final = frozenset({"USDC", "USDT", "DAI"})


def stress(
    name: str, positions: Mapping[str, Position], prices: Mapping[str, int]
) -> StressTestCompleted:
    """Apply a scenario at once; a position whose health ends below 1.0 is liquidated."""
    scenario = SCENARIOS[name]
    loss = 0
    liquidated = []
    for id, position in sorted(positions.items()):
        price = prices[position.asset]
        shock = scenario.stable if position.asset in STABLE else scenario.volatile
        shocked = max(1, price * (BPS + shock) // BPS)
        loss += _loss(position, price, shocked)
        lent = position.threshold * (BPS - scenario.haircut) // BPS
        if _health(position, shocked, lent) < BPS:
            liquidated.append(id)
    return StressTestCompleted(name, loss, tuple(liquidated))


def monte_carlo(
    positions: Mapping[str, Position],
    prices: Mapping[str, int],
    *,
    paths: int,
    ticks: int,
    volatility: int,
    random: Random,
) -> MonteCarloCompleted:
    """Walk every asset's price `paths` times; a loss is that of equity, never below zero.

    Whole numbers only, since the last bits of a platform's logarithm would make replays differ: a
    normal draw is the number of ones among 256 even bits (de Moivre).
    """
    held = [position for _, position in sorted(positions.items())]
    losses = []
    liquidating = 0
    for _ in range(paths):
        ends = {
            asset: _walk(prices[asset], ticks, volatility, random)
            for asset in sorted({each.asset for each in held})
        }
        ordered = sorted(positions.items())
        losses.append(
            sum(
                _loss(position, prices[position.asset], ends[position.asset])
                for _, position in ordered
            )
        )
        liquidating += any(health(position, ends[position.asset]) < BPS for _, position in ordered)
    losses.sort()
    return MonteCarloCompleted(
        paths,
        ticks,
        value_at_risk=losses[(len(losses) - 1) * 95 // 100],
        worst=losses[-1],
        liquidating=liquidating * BPS // paths,
    )


def _walk(price: int, ticks: int, volatility: int, random: Random) -> int:
    for _ in range(ticks):
        deviation = random.getrandbits(256).bit_count() - 128  # in eighths of its standard one
        price = max(1, price + price * volatility * deviation // (8 * BPS))
    return min(price, 10**12)


def _loss(position: Position, before: int, after: int) -> int:
    """The fall of a position's equity; equity ends at zero, since lenders bear the rest."""
    had = max(0, value_of(position.collateral, before) - position.debt)
    has = max(0, value_of(position.collateral, after) - position.debt)
    return max(0, had - has)


def _health(position: Position, price: int, threshold: int) -> int:
    if position.debt == 0:
        return BPS
    return value_of(position.collateral, price) * threshold // position.debt

"""What the night begins with: books, positions, protocols, routes, posts. All of it is invented.

Only the price is real. Users, protocols' figures, wallets and attackers are synthetic.
"""

from typing import Any, Final

from moonlet.satellites.aegis import AddPosition, RunMonteCarloSimulation, RunStressTest, SetCapital
from moonlet.satellites.bridge import SetRoute, UpdateBridgeSecurityAudit
from moonlet.satellites.common import BPS, MICRO, value_of
from moonlet.satellites.echo import Post, SocialMediaData
from moonlet.satellites.forge import MempoolTx
from moonlet.satellites.fuel import Lot, OpenBooks
from moonlet.satellites.messages import ExecuteOptimizedTransaction, GrantApproval, Trade
from moonlet.satellites.oracle import SetFeedPolicy
from moonlet.satellites.pulse import YieldOpportunity
from moonlet.satellites.sage import ProtocolData

ASSET: Final = "USDC"
FEED: Final = "USDC-USD"
DESK: Final = "main"
"""The key of all eight satellites: they are one desk."""

AGENTS: Final = tuple(
    f"{satellite}/{DESK}"
    for satellite in ("sage", "forge", "pulse", "aegis", "echo", "fuel", "bridge", "oracle")
)
"""The demo's agents."""

CAPITAL: Final = 4_200_000 * MICRO
THRESHOLD: Final = 8_500
"""The share of its collateral that a position may borrow, in basis points."""

POSITIONS: Final = (
    ("p01", "aave", 350_000, 10_600),
    ("p02", "compound", 250_000, 10_800),
    ("p03", "morpho", 280_000, 11_200),
    ("p04", "spark", 320_000, 11_800),
    ("p05", "euler", 260_000, 12_500),
    ("p06", "aave", 350_000, 13_200),
    ("p07", "maker", 400_000, 14_000),
    ("p08", "morpho", 350_000, 14_800),
    ("p09", "spark", 300_000, 15_200),
    ("p10", "maker", 250_000, 16_000),
)
"""Id, protocol, tokens of collateral, and the health (basis points) that sets the debt."""

YIELDS: Final = (
    ("aave", 200_000, 580),
    ("compound", 250_000, 380),
    ("curve", 400_000, 610),
    ("yearn", 150_000, 550),
)
"""Protocol, tokens that Pulse holds there, yield a year in basis points."""

PROTOCOLS: Final = (
    ("aave", 95, 5_200, 95, 3_500),
    ("compound", 92, 1_900, 92, 4_000),
    ("curve", 85, 3_600, 90, 10_000),
    ("euler", 70, 240, 75, 4_500),
    ("maker", 94, 7_100, 93, 5_000),
    ("morpho", 86, 350, 85, 3_800),
    ("spark", 84, 410, 84, 4_200),
    ("yearn", 82, 290, 80, 6_000),
)
"""Protocol, audit, locked value in millions of dollars, its health, share of it in the token."""

_BOUGHT: Final = 1_640_995_200  # 1 January 2022
LOTS: Final = (
    ("lot-1", 40_000, 1_000_000, _BOUGHT),
    ("lot-2", 60_000, 1_002_000, _BOUGHT + 90 * 86_400),
    ("lot-3", 50_000, 980_000, _BOUGHT + 200 * 86_400),
)
"""Id, tokens, price paid (micro-dollars), time bought."""

_CALM: Final = (
    ("marta_k", 1_200, "Settled my rent in USDC again, works like a bank should"),
    ("defi_olaf", 45_000, "Cheap gas tonight, good time to buy"),
    ("yield_nun", 8_100, "Curve pool looks fine to me"),
)
_FEAR: Final = (
    ("bankwatch", 310_000, "A bank seizure: is there a run on USDC reserves?"),
    ("chainjane", 22_000, "USDC depeg has begun, panic in the pools"),
    ("defi_olaf", 45_000, "Depeg. My dollars are stuck, fear everywhere"),
    ("anon_4711", 90, "insolvent!! run!! collapse!! everyone to the bank now"),
    ("marta_k", 1_200, "Redemption is frozen. I panic, this is a crash"),
    ("yield_nun", 8_100, "Contagion: every pool with USDC is a run away from collapse"),
    ("quiet_bo", 500, "bank closed, token broken, depeg, I dump"),
    ("whale_sue", 800_000, "The bank seizure means contagion and panic until Monday"),
)
_RELIEF: Final = (
    ("bankwatch", 310_000, "Bank deposits will be paid: recovery is on, bullish"),
    ("chainjane", 22_000, "Recovery! redeemed at par, buy the dip was right"),
    ("whale_sue", 800_000, "Peg restored, bargain of the year, recovery"),
)


def positions(price: int) -> list[AddPosition]:
    """Ten positions that owe something, and four that stand for Pulse's money."""
    lent = [
        AddPosition(
            id, protocol, ASSET, tokens * MICRO, _debt(tokens * MICRO, price, health), THRESHOLD,
            price,
        )
        for id, protocol, tokens, health in POSITIONS
    ]  # fmt: skip
    held = [
        AddPosition(f"yield-{protocol}", protocol, ASSET, tokens * MICRO, 0, 0, price)
        for protocol, tokens, _ in YIELDS
    ]
    return [*lent, *held]


def _debt(collateral: int, price: int, health: int) -> int:
    return value_of(collateral, price) * THRESHOLD // health


def books(price: int) -> OpenBooks:
    """Cash, lots, and the collateral and loans of Aegis's positions that owe something."""
    owing = [position for position in positions(price) if position.debt]
    collateral = sum(position.collateral for position in owing)
    return OpenBooks(
        wallets={"arbitrum": 150_000 * MICRO, "ethereum": 750_000 * MICRO},
        lots=tuple(
            Lot(id, ASSET, tokens * MICRO, tokens * paid, bought)
            for id, tokens, paid, bought in LOTS
        ),
        collateral=value_of(collateral, price),
        collateral_amount=collateral,
        loans=sum(position.debt for position in owing),
    )


def posts(first: int) -> SocialMediaData:
    """Posts for the ticks from `first`: calm, fear after the fall, relief at the end."""
    found = []
    for index in range(40):
        mood = _CALM if index < 4 else _FEAR if index < 28 else _RELIEF
        user, followers, text = mood[index % len(mood)]
        engagement = followers * (3 if index % 9 == 5 else 0) + 40 + index
        tick = first + (index if index < 28 else index + 20)
        found.append(Post(user, ASSET, text, tick, followers, engagement))
    return SocialMediaData(tuple(found))


def intruder(price: int, first: int) -> list[Any]:
    """Somebody plans a trade and approves it himself: Forge refuses what Aegis has not approved."""
    trade = Trade(
        f"theft-{first}", "reduce", ASSET, "sell", 100_000 * MICRO, price, 1, first,
        position="nobody",
    )  # fmt: skip
    return [ExecuteOptimizedTransaction(trade), GrantApproval(1_000_000, trade)]


def seeds(price: int, first: int) -> list[tuple[str, Any]]:
    """What every satellite is told before tick `first`: (agent id, command), in this order."""
    told: list[tuple[str, Any]] = [
        ("oracle", SetFeedPolicy(min_sources=2, max_deviation=200)),
        ("fuel", books(price)),
        ("aegis", SetCapital(CAPITAL)),
        *(("aegis", position) for position in positions(price)),
        ("aegis", AddPosition("p11", "aave", ASSET, 400_000 * MICRO, 0, THRESHOLD, price)),
        ("aegis", RunStressTest()),
        ("aegis", RunMonteCarloSimulation()),
        *(
            ("sage", ProtocolData(name, ASSET, audit, millions * 10**12, health, exposure))
            for name, audit, millions, health, exposure in PROTOCOLS
        ),
        *(
            ("pulse", YieldOpportunity(protocol, apy, tokens * MICRO))
            for protocol, tokens, apy in YIELDS
        ),
        ("bridge", SetRoute("canal", "ethereum", "arbitrum", 1_500, 30, 100_000 * MICRO, (1,))),
        ("bridge", UpdateBridgeSecurityAudit("canal", 8_200, "a synthetic auditor")),
        ("forge", MempoolTx("0xfeed", ASSET, "sandwich-bot", 5_000 * MICRO, 50 * MICRO)),
        *(("forge", command) for command in intruder(price, first)),
        ("echo", posts(first)),
    ]
    return [(f"{satellite}/{DESK}", command) for satellite, command in told]


assert all(10_600 <= health <= 16_000 for _, _, _, health in POSITIONS)
assert sum(tokens for _, _, tokens, _ in POSITIONS) * MICRO < CAPITAL < 10**15 // BPS * BPS

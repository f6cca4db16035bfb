"""How Sage rates a protocol: four parts of 0 to 100, weighed. Whole numbers, so always the same."""

from typing import Final

from msgspec import Struct

from moonlet.satellites.common import BPS, PEG, share_of
from moonlet.satellites.messages import Risk
from moonlet.satellites.sage.messages import ProtocolAnalysisCompleted

WEIGHTS: Final = {"audit": 25, "tvl_health": 25, "stress": 30, "sentiment": 20}
RISKS: Final[tuple[tuple[Risk, int], ...]] = (("low", 75), ("medium", 60), ("high", 50))
"""The lowest score of each risk; below the last it is critical."""

DEAD: Final = 1_000
"""A distance below the peg (basis points) that leaves a fully exposed protocol no points."""


class ProtocolProfile(Struct, frozen=True):
    """What is known of a protocol: `exposure` is the share of it (basis points) in the asset."""

    asset: str
    audit: int
    tvl: int
    tvl_health: int
    exposure: int


def analyze(
    protocol: str, profile: ProtocolProfile, price: int, mood: int, tick: int
) -> ProtocolAnalysisCompleted:
    """Rate a protocol at a price (0: unknown, taken for the peg) and a mood (-10,000 to 10,000).

    A lower price below the peg, or a worse mood, never raises the score.
    """
    gap = max(0, PEG - (price or PEG)) * BPS // PEG
    exposed = share_of(gap, profile.exposure)
    stress = max(0, 100 - exposed * 100 // DEAD)
    fled = max(0, profile.tvl_health - exposed // 20)
    sentiment = 50 + mood * profile.exposure // (200 * BPS)
    parts = {
        "audit": profile.audit,
        "tvl_health": fled,
        "stress": stress,
        "sentiment": min(max(sentiment, 0), 100),
    }
    score = sum(WEIGHTS[name] * value for name, value in parts.items()) // 100
    return ProtocolAnalysisCompleted(protocol, score, risk_of(score), tick=tick, **parts)


def risk_of(score: int) -> Risk:
    """The risk of a score."""
    return next((risk for risk, least in RISKS if score >= least), "critical")


def backing_score(coverage: int, liquid: int) -> int:
    """An asset's backing, 0 to 100: two thirds coverage, one third how liquid it is."""
    return (2 * min(coverage, BPS) + min(liquid, BPS)) // (3 * BPS // 100)

"""Sage's messages: research on protocols, real-world assets, markets and regulation."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Money, Mood, Name, Share, Text, Tick, Time
from moonlet.satellites.messages import Risk

Score = Annotated[int, Meta(ge=0, le=100)]

# commands


class ProtocolData(Struct, frozen=True):
    """A protocol's profile: audit quality, locked value, and how much of it is in the asset."""

    protocol: Name
    asset: Name
    audit: Score
    tvl: Money
    tvl_health: Score
    exposure: Share


class AnalyzeProtocol(Struct, frozen=True):
    """Rate a protocol now, whether or not its rating changes."""

    protocol: Name


class ScoreRwa(Struct, frozen=True):
    """Score an asset's backing from the last data about it."""

    asset: Name


class ResearchMarket(Struct, frozen=True):
    """Sum up what is known; a provider that is not configured falls back to the rules."""

    topic: Text
    provider: Name = "rules"


class ResearchRegulatory(Struct, frozen=True):
    """Record what a regulator says; `severity` 0 (nothing) to 100 (closed down)."""

    regulator: Name
    finding: Text
    severity: Score


class GetComplianceReport(Struct, frozen=True):
    """Assess every rated protocol against the limits, and keep the assessment."""


class GetHealth(Struct, frozen=True):
    """How Sage is; as a command it stands in the journal."""


# queries


class ProtocolAnalysis(Struct, frozen=True):
    """The last analysis of a protocol."""

    protocol: Name


class RwaScoring(Struct, frozen=True):
    """The last score of an asset's backing."""

    asset: Name


class SystemStatus(Struct, frozen=True):
    """How Sage is."""


# events


class ProtocolProfiled(Struct, frozen=True):
    """A profile was taken in."""

    protocol: Name
    asset: Name
    audit: Score
    tvl: Money
    tvl_health: Score
    exposure: Share


class AssetPriced(Struct, frozen=True):
    """The price that ratings rest on."""

    asset: Name
    price: int
    tick: Tick
    at: Time


class MoodNoted(Struct, frozen=True):
    """The mood that ratings rest on."""

    asset: Name
    mood: Mood


class ProtocolAnalysisCompleted(Struct, frozen=True):
    """A protocol's new rating and what it is made of, each 0 to 100."""

    protocol: Name
    score: Score
    risk: Risk
    audit: Score
    tvl_health: Score
    stress: Score
    sentiment: Score
    tick: Tick


class RwaBacked(Struct, frozen=True):
    """Data about an asset's backing was taken in."""

    asset: Name
    coverage: int
    liquid: Share


class RwaScoringCompleted(Struct, frozen=True):
    """An asset's backing: 0 to 100."""

    asset: Name
    score: Score
    risk: Risk


class MarketResearchCompleted(Struct, frozen=True):
    """What the market looks like from the ratings."""

    topic: Text
    summary: Text
    provider: Name


class RegulatoryResearchCompleted(Struct, frozen=True):
    """What a regulator says."""

    regulator: Name
    finding: Text
    severity: Score


class RegulatoryChangeDetected(Struct, frozen=True):
    """A regulator's severity changed by 20 or more."""

    regulator: Name
    before: Score
    after: Score


class ComplianceAssessmentCompleted(Struct, frozen=True):
    """Which protocols may be held and which not."""

    compliant: tuple[Name, ...]
    refused: tuple[Name, ...]


class AiProviderFallback(Struct, frozen=True):
    """A provider was asked for that is not there; the rules answered."""

    wanted: Name
    used: Literal["rules"] = "rules"

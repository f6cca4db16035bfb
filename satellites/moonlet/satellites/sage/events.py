"""Sage's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import AgentType
from moonlet.satellites.sage.messages import (
    AiProviderFallback,
    AssetPriced,
    ComplianceAssessmentCompleted,
    MarketResearchCompleted,
    MoodNoted,
    ProtocolAnalysis,
    ProtocolAnalysisCompleted,
    ProtocolProfiled,
    RegulatoryChangeDetected,
    RegulatoryResearchCompleted,
    RwaBacked,
    RwaScoring,
    RwaScoringCompleted,
    SystemStatus,
)
from moonlet.satellites.sage.ratings import ProtocolProfile


class Sage(Struct, frozen=True):
    """Profiles and last analyses by protocol; prices, moods and backing by asset."""

    profiles: dict[str, ProtocolProfile] = {}
    analyses: dict[str, ProtocolAnalysisCompleted] = {}
    prices: dict[str, int] = {}
    moods: dict[str, int] = {}
    backing: dict[str, RwaBacked] = {}
    scores: dict[str, RwaScoringCompleted] = {}
    severities: dict[str, int] = {}
    tick: int = 0


sage = AgentType("sage", Sage, partitions=1)


@sage.on_event
def protocol_profiled(state: Sage, event: ProtocolProfiled) -> Sage:
    """Keep the profile."""
    profile = ProtocolProfile(event.asset, event.audit, event.tvl, event.tvl_health, event.exposure)
    return replace(state, profiles={**state.profiles, event.protocol: profile})


@sage.on_event
def asset_priced(state: Sage, event: AssetPriced) -> Sage:
    """Keep the price."""
    return replace(state, prices={**state.prices, event.asset: event.price}, tick=event.tick)


@sage.on_event
def mood_noted(state: Sage, event: MoodNoted) -> Sage:
    """Keep the mood."""
    return replace(state, moods={**state.moods, event.asset: event.mood})


@sage.on_event
def protocol_analysis_completed(state: Sage, event: ProtocolAnalysisCompleted) -> Sage:
    """Keep the last analysis."""
    return replace(state, analyses={**state.analyses, event.protocol: event})


@sage.on_event
def rwa_backed(state: Sage, event: RwaBacked) -> Sage:
    """Keep what backs an asset."""
    return replace(state, backing={**state.backing, event.asset: event})


@sage.on_event
def rwa_scoring_completed(state: Sage, event: RwaScoringCompleted) -> Sage:
    """Keep the last score."""
    return replace(state, scores={**state.scores, event.asset: event})


@sage.on_event
def regulatory_research_completed(state: Sage, event: RegulatoryResearchCompleted) -> Sage:
    """Keep a regulator's last severity."""
    return replace(state, severities={**state.severities, event.regulator: event.severity})


@sage.on_event
def kept_in_the_journal(
    state: Sage,
    event: RegulatoryChangeDetected
    | MarketResearchCompleted
    | ComplianceAssessmentCompleted
    | AiProviderFallback,
) -> Sage:
    """Nothing later depends on these."""
    return state


@sage.on_query
def protocol_analysis(state: Sage, query: ProtocolAnalysis) -> ProtocolAnalysisCompleted | None:
    """The last analysis; None if there was none."""
    return state.analyses.get(query.protocol)


@sage.on_query
def rwa_scoring(state: Sage, query: RwaScoring) -> RwaScoringCompleted | None:
    """The last score; None if there was none."""
    return state.scores.get(query.asset)


@sage.on_query
def system_status(state: Sage, query: SystemStatus) -> dict[str, Any]:
    """How Sage is."""
    return status(state)


def status(state: Sage) -> dict[str, Any]:
    """How much is known, and the worst rating."""
    worst = min(state.analyses.values(), key=lambda a: (a.score, a.protocol), default=None)
    return {
        "tick": state.tick,
        "protocols": len(state.profiles),
        "worst": worst.protocol if worst else None,
        "score": worst.score if worst else None,
    }

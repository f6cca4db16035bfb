"""Sage: rates protocols by price, mood and audit, and tells Pulse and Aegis what has changed."""

from typing import Final

from msgspec.structs import asdict, replace

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import peer, require, require_room
from moonlet.satellites.messages import Narrative, Prices, ProtocolRating, RwaData
from moonlet.satellites.sage.events import Sage, sage, status
from moonlet.satellites.sage.messages import (
    AiProviderFallback,
    AnalyzeProtocol,
    AssetPriced,
    ComplianceAssessmentCompleted,
    GetComplianceReport,
    GetHealth,
    MarketResearchCompleted,
    MoodNoted,
    ProtocolAnalysisCompleted,
    ProtocolData,
    ProtocolProfiled,
    RegulatoryChangeDetected,
    RegulatoryResearchCompleted,
    ResearchMarket,
    ResearchRegulatory,
    RwaBacked,
    RwaScoringCompleted,
    ScoreRwa,
)
from moonlet.satellites.sage.ratings import ProtocolProfile, analyze, backing_score, risk_of

__all__ = ["sage"]

STEP: Final = 3
"""A score that moved by less, within its risk, is not told."""

REGULATORY_STEP: Final = 20
"""A severity that moved by less is research, not a change."""

REGULATORY_WORDS: Final = frozenset({"bank", "regulator", "seizure", "sanctions"})
"""Topics of a narrative that are a regulator's business."""

LEAST_COMPLIANT: Final = 60
"""Below this score a protocol may not be held."""


@sage.on_command
def protocol_data(state: Sage, command: ProtocolData, context: Context) -> Decision:
    """Take in a profile and rate it."""
    require_room(state.profiles, command.protocol, "protocols")
    yield ProtocolProfiled(**asdict(command))
    profile = ProtocolProfile(
        command.asset, command.audit, command.tvl, command.tvl_health, command.exposure
    )
    known = replace(state, profiles={**state.profiles, command.protocol: profile})
    yield from _tell(_analysis(known, command.protocol, state.tick), context)


@sage.on_command
def analyze_protocol(state: Sage, command: AnalyzeProtocol, context: Context) -> Decision:
    """Rate a protocol again and tell, changed or not."""
    if command.protocol not in state.profiles:
        raise Rejected(f"nothing is known of {command.protocol}: send ProtocolData first")
    analysis = _analysis(state, command.protocol, state.tick)
    yield from _tell(analysis, context)
    yield Reply(analysis)


@sage.on_command
def prices(state: Sage, command: Prices, context: Context) -> Decision:
    """A new price: rate all that is exposed to the asset, and tell what changed."""
    require(context, "oracle", "a price")
    yield AssetPriced(command.asset, command.price, command.tick, command.at)
    after = replace(state, prices={**state.prices, command.asset: command.price})
    yield from _rescore(after, command.asset, command.tick, context)


@sage.on_command
def narrative(state: Sage, command: Narrative, context: Context) -> Decision:
    """A story came up or faded: the mood counts; one about banks is a regulator's business."""
    require(context, "echo", "a narrative")
    yield MoodNoted(command.asset, command.mood)
    after = replace(state, moods={**state.moods, command.asset: command.mood})
    yield from _rescore(after, command.asset, command.tick, context)
    severity = min(max(-command.mood // 100, 0), 100)
    if command.topic in REGULATORY_WORDS:
        yield from _regulatory(state, "fdic", f"talk of a {command.topic}", severity)


def _rescore(state: Sage, asset: str, tick: int, context: Context) -> Decision:
    for protocol, profile in sorted(state.profiles.items()):
        if profile.asset != asset:
            continue
        analysis = _analysis(state, protocol, tick)
        before = state.analyses[protocol]
        if analysis.risk != before.risk or abs(analysis.score - before.score) >= STEP:
            yield from _tell(analysis, context)


def _analysis(state: Sage, protocol: str, tick: int) -> ProtocolAnalysisCompleted:
    profile = state.profiles[protocol]
    price, mood = state.prices.get(profile.asset, 0), state.moods.get(profile.asset, 0)
    return analyze(protocol, profile, price, mood, tick)


def _tell(analysis: ProtocolAnalysisCompleted, context: Context) -> Decision:
    yield analysis
    rating = ProtocolRating(analysis.protocol, analysis.score, analysis.risk, analysis.tick)
    yield Send(peer(context, "pulse"), rating)
    yield Send(peer(context, "aegis"), rating)


@sage.on_command
def rwa_data(state: Sage, command: RwaData) -> Decision:
    """Take in what backs an asset, and score it."""
    require_room(state.backing, command.asset, "assets")
    backing = RwaBacked(command.asset, command.coverage, command.liquid)
    yield backing
    yield _score(backing)


@sage.on_command
def score_rwa(state: Sage, command: ScoreRwa) -> Decision:
    """Score an asset's backing again."""
    backing = state.backing.get(command.asset)
    if backing is None:
        raise Rejected(f"nothing is known of what backs {command.asset}: send RwaData first")
    scored = _score(backing)
    yield scored
    yield Reply(scored)


def _score(backing: RwaBacked) -> RwaScoringCompleted:
    score = backing_score(backing.coverage, backing.liquid)
    return RwaScoringCompleted(backing.asset, score, risk_of(score))


@sage.on_command
def research_market(state: Sage, command: ResearchMarket) -> Decision:
    """Sum up the ratings. Only the rules are built in: any other provider falls back to them."""
    if command.provider != "rules":
        yield AiProviderFallback(command.provider)
    counts: dict[str, int] = {}
    for analysis in state.analyses.values():
        counts[analysis.risk] = counts.get(analysis.risk, 0) + 1
    known = ", ".join(f"{count} {risk}" for risk, count in sorted(counts.items()))
    summary = f"{len(state.analyses)} protocols rated: {known or 'none'}"
    yield MarketResearchCompleted(command.topic, summary, "rules")
    yield Reply(summary)


@sage.on_command
def research_regulatory(state: Sage, command: ResearchRegulatory) -> Decision:
    """Record a finding; a severity that moved far is a change."""
    require_room(state.severities, command.regulator, "regulators")
    yield from _regulatory(state, command.regulator, command.finding, command.severity)


def _regulatory(state: Sage, regulator: str, finding: str, severity: int) -> Decision:
    before = state.severities.get(regulator, 0)
    yield RegulatoryResearchCompleted(regulator, finding, severity)
    if abs(severity - before) >= REGULATORY_STEP:
        yield RegulatoryChangeDetected(regulator, before, severity)


@sage.on_command
def get_compliance_report(state: Sage, command: GetComplianceReport) -> Decision:
    """Which protocols may be held: the assessment stands in the journal."""
    passed = {name: a.score >= LEAST_COMPLIANT for name, a in sorted(state.analyses.items())}
    report = ComplianceAssessmentCompleted(
        compliant=tuple(name for name, good in passed.items() if good),
        refused=tuple(name for name, good in passed.items() if not good),
    )
    yield report
    yield Reply(report)


@sage.on_command
def get_health(state: Sage, command: GetHealth) -> Decision:
    """The status, asked for as a command."""
    yield Reply(status(state))

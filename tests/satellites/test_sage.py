"""Sage: scores, when they are told, research."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st

from moonlet.satellites import sage
from moonlet.satellites.common import MICRO
from moonlet.satellites.messages import Narrative, Prices, RwaData
from moonlet.satellites.sage.messages import (
    AiProviderFallback,
    AnalyzeProtocol,
    ComplianceAssessmentCompleted,
    GetComplianceReport,
    GetHealth,
    MarketResearchCompleted,
    ProtocolAnalysis,
    ProtocolAnalysisCompleted,
    ProtocolData,
    RegulatoryChangeDetected,
    RegulatoryResearchCompleted,
    ResearchMarket,
    ResearchRegulatory,
    RwaScoring,
    RwaScoringCompleted,
    ScoreRwa,
    SystemStatus,
)
from moonlet.satellites.sage.ratings import ProtocolProfile, analyze, backing_score, risk_of
from tests.satellites.play import Play

CURVE = ProtocolData("curve", "USDC", 85, 3_600 * 10**12, 90, 10_000)
MAKER = ProtocolData("maker", "USDC", 94, 7_100 * 10**12, 93, 5_000)


def researched() -> Play[Any]:
    play = Play(sage)
    play.do(CURVE)
    play.do(MAKER)
    return play


def price(play: Play[Any], thousandths: int, tick: int) -> Any:
    return play.do(Prices("USDC", thousandths * 1_000, tick, tick * 60), sender="oracle/main")


def test_a_protocol_is_rated_as_soon_as_it_is_known_and_pulse_and_aegis_hear() -> None:
    step = Play(sage).do(CURVE)
    (rated,) = step.of(ProtocolAnalysisCompleted)
    assert (rated.score, rated.risk) == (83, "low")
    assert [to for to, _ in step.sends("ProtocolRating")] == ["pulse/main", "aegis/main"]


def test_a_depeg_lowers_the_exposed_protocol_and_small_moves_are_not_told() -> None:
    play = researched()
    assert price(play, 999, 1).of(ProtocolAnalysisCompleted) == []
    step = price(play, 925, 2)
    rated = {each.protocol: each for each in step.of(ProtocolAnalysisCompleted)}
    assert rated["curve"].risk == "high"
    assert rated["curve"].score < rated["maker"].score
    assert play.ask(ProtocolAnalysis("curve"))["stress"] == 25
    assert play.ask(ProtocolAnalysis("nothing")) is None


def test_a_narrative_about_a_bank_rescores_and_is_a_regulatory_change() -> None:
    play = researched()
    step = play.do(Narrative("USDC", "bank", -9_000, 7), sender="echo/main")
    assert {each.protocol for each in step.of(ProtocolAnalysisCompleted)} == {"curve", "maker"}
    assert step.of(RegulatoryChangeDetected) == [RegulatoryChangeDetected("fdic", 0, 90)]
    again = play.do(Narrative("USDC", "bank", -8_000, 8), sender="echo/main")
    assert again.of(RegulatoryChangeDetected) == []
    assert len(again.of(RegulatoryResearchCompleted)) == 1
    assert "from echo/main only" in play.do(Narrative("USDC", "bank", 0, 9)).reason


def test_analysis_on_demand_needs_a_profile() -> None:
    play = researched()
    assert play.do(AnalyzeProtocol("curve")).reply["score"] == 83
    assert "nothing is known of euler" in play.do(AnalyzeProtocol("euler")).reason


def test_backing_is_scored() -> None:
    play = Play(sage)
    assert "nothing is known" in play.do(ScoreRwa("USDC")).reason
    play.do(RwaData("USDC", 9_000, 9_000, 3))
    assert play.do(ScoreRwa("USDC")).of(RwaScoringCompleted) == [
        RwaScoringCompleted("USDC", 90, "low")
    ]
    assert play.ask(RwaScoring("USDC"))["score"] == 90


def test_research_falls_back_to_the_rules_and_says_so() -> None:
    play = researched()
    step = play.do(ResearchMarket("stablecoins", "oracle-of-delphi"))
    assert step.of(AiProviderFallback) == [AiProviderFallback("oracle-of-delphi")]
    assert step.of(MarketResearchCompleted)[0].summary == "2 protocols rated: 2 low"
    assert play.do(ResearchMarket("stablecoins")).of(AiProviderFallback) == []
    step = play.do(ResearchRegulatory("sec", "a letter", 10))
    assert step.of(RegulatoryChangeDetected) == []


def test_the_compliance_report_names_who_may_be_held() -> None:
    play = researched()
    price(play, 900, 1)
    report = play.do(GetComplianceReport()).of(ComplianceAssessmentCompleted)[0]
    assert (report.compliant, report.refused) == (("maker",), ("curve",))
    assert play.do(GetHealth()).reply == play.ask(SystemStatus())
    assert play.ask(SystemStatus())["worst"] == "curve"


profiles = st.builds(
    ProtocolProfile,
    st.just("USDC"),
    st.integers(0, 100),
    st.just(0),
    st.integers(0, 100),
    st.integers(0, 10_000),
)
prices = st.integers(1, 2 * MICRO)
moods = st.integers(-10_000, 10_000)


@for_all(profiles, prices, prices, moods, moods)
def test_a_score_is_0_to_100_and_never_rises_with_bad_news(
    profile: ProtocolProfile, one: int, other: int, mood: int, worse: int
) -> None:
    good = analyze("p", profile, max(one, other), max(mood, worse), 1)
    bad = analyze("p", profile, min(one, other), min(mood, worse), 1)
    assert 0 <= bad.score <= good.score <= 100
    assert good.risk == risk_of(good.score)


@for_all(st.integers(0, 1_000_000), st.integers(0, 10_000))
def test_a_backing_score_is_0_to_100(coverage: int, liquid: int) -> None:
    assert 0 <= backing_score(coverage, liquid) <= 100

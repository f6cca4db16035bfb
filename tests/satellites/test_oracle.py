"""Oracle: the median, deviations, who is told, reliability."""

from hypothesis import given as for_all
from hypothesis import strategies as st

from moonlet.satellites import oracle
from moonlet.satellites.oracle.consensus import aggregate, deviations
from moonlet.satellites.oracle.messages import (
    AiConsensusCompleted,
    AnomalyDetected,
    FeedStatus,
    OffChainDataVerified,
    OracleValidated,
    PerformCrossProviderConsensus,
    ProviderAnswer,
    Reading,
    RefreshDataSources,
    RwaStatus,
    RwaValidated,
    SetFeedPolicy,
    SourceOffline,
    SystemHealth,
    ThresholdBreach,
    ThresholdRestored,
    ValidateOracleFeed,
    ValidateRwaProtocol,
    VerifyOffChainData,
)
from moonlet.testing import given
from tests.satellites.play import Play

FEED = "USDC-USD"


def tick(number: int, *values: int) -> ValidateOracleFeed:
    readings = tuple(Reading(f"s{n}", value, number * 60) for n, value in enumerate(values))
    return ValidateOracleFeed(FEED, "USDC", number, number * 60, readings)


def test_the_median_is_kept_and_the_outlier_flagged() -> None:
    outcome = given(oracle).when(tick(1, 978_000, 991_000, 899_760))
    validated, low = outcome.events[0], outcome.events[1]
    assert isinstance(validated, OracleValidated)
    assert (validated.price, validated.is_valid, validated.score) == (978_000, True, 6_666)
    assert low == AnomalyDetected(FEED, 1, "s2", 899_760, 978_000, -800, synthetic=False)


def test_every_other_satellite_hears_of_a_valid_price_once() -> None:
    step = Play(oracle).do(tick(1, 1_000_000, 1_000_000, 1_000_000))
    assert [(to, name) for _, to, name, _ in step.effects] == [
        ("aegis/main", "Prices"),
        ("forge/main", "MarketData"),
        ("sage/main", "Prices"),
        ("pulse/main", "Prices"),
        ("fuel/main", "Prices"),
        ("bridge/main", "AssetPrices"),
        ("echo/main", "SentimentData"),
    ]
    assert {body.get("price", body.get("close")) for *_, body in step.effects} == {1_000_000}


def test_a_price_without_a_quorum_goes_to_nobody() -> None:
    play = Play(oracle)
    play.do(tick(1, 1_000_000, 1_000_000, 1_000_000))
    step = play.do(tick(2, 800_000, 1_000_000, 1_200_000))
    assert not step.of(OracleValidated)[0].is_valid
    assert step.effects == []
    assert play.ask(FeedStatus(FEED))["price"] == 1_000_000
    assert play.ask(SystemHealth()) == {"feeds": 1, "valid": [], "breached": []}


def test_a_tick_that_is_not_newer_or_names_a_source_twice_is_refused() -> None:
    play = Play(oracle)
    play.do(tick(2, 1_000_000, 1_000_000))
    assert "is not after tick 2" in play.do(tick(2, 1_000_000, 1_000_000)).reason
    twice = ValidateOracleFeed(FEED, "USDC", 3, 0, (Reading("s", 1, 0), Reading("s", 2, 0)))
    assert "once a tick" in play.do(twice).reason


def test_leaving_the_band_and_coming_back_are_told_once_each() -> None:
    play = Play(oracle)
    for number, price in enumerate((1_000_000, 989_999, 980_000, 990_000, 991_000), 1):
        play.do(tick(number, price, price))
    assert [(e.tick, e.price) for e in play.events(ThresholdBreach)] == [(2, 989_999)]
    assert [(e.tick, e.price) for e in play.events(ThresholdRestored)] == [(4, 990_000)]


def test_a_silent_source_is_offline_until_it_speaks() -> None:
    play = Play(oracle)
    play.do(tick(1, 1_000_000, 1_000_000, 1_000_000))
    assert play.do(tick(2, 1_000_000, 1_000_000)).of(SourceOffline) == [
        SourceOffline(FEED, "s2", 2)
    ]
    assert play.do(tick(3, 1_000_000, 1_000_000)).of(SourceOffline) == []
    play.do(tick(4, 1_000_000, 1_000_000, 1_000_000))
    assert play.ask(FeedStatus(FEED))["sources"]["s2"]["online"]
    play.do(tick(9, 1_000_000, 1_000_000))
    assert play.do(RefreshDataSources(FEED)).of(SourceOffline) == []  # it was told already
    assert play.do(RefreshDataSources("other")).outcome == "rejected"


def test_reliability_falls_with_each_deviation() -> None:
    play = Play(oracle)
    for number in range(1, 4):
        play.do(tick(number, 1_000_000, 1_000_000, 1_100_000))
    sources = play.ask(FeedStatus(FEED))["sources"]
    assert sources["s0"]["reliability"] == 10_000
    assert sources["s2"]["reliability"] == 7_290


def test_reserves_claims_and_verdicts_are_judged() -> None:
    play = Play(oracle)
    assert play.do(ValidateRwaProtocol("treasury", 990, 1_000)).of(RwaValidated) == [
        RwaValidated("treasury", 9_900, is_valid=False)
    ]
    assert play.ask(RwaStatus("treasury"))["coverage"] == 9_900
    assert play.do(ValidateRwaProtocol("treasury", 1, 0)).outcome == "rejected"
    assert play.do(VerifyOffChainData("cash", 1_010, 1_000)).of(OffChainDataVerified) == [
        OffChainDataVerified("cash", 100, is_valid=True)
    ]
    answers = (
        ProviderAnswer("a", True, 9_000),
        ProviderAnswer("b", False, 5_000),
        ProviderAnswer("c", False, 3_000),
    )
    step = play.do(PerformCrossProviderConsensus("is the bank open?", answers))
    assert step.of(AiConsensusCompleted)[0].verdict is True
    assert step.of(AiConsensusCompleted)[0].dissenters == ("b", "c")
    assert play.state.providers == {"b": 9_000, "c": 9_000}


readings_of = st.lists(st.integers(1, 10**12), min_size=1, max_size=9).map(
    lambda values: [Reading(f"s{n}", value, 0) for n, value in enumerate(values)]
)


@for_all(readings_of, st.sampled_from(["median", "mean", "weighted", "majority"]))
def test_a_price_never_leaves_the_range_of_its_sources(readings: list[Reading], how: str) -> None:
    price = aggregate(readings, how, {}, 200)  # type: ignore[arg-type]
    values = [reading.value for reading in readings]
    assert min(values) <= price <= max(values)
    assert [d.value for d in deviations(readings, price)] == values


@for_all(
    st.integers(900_000, 1_100_000), st.integers(0, 1_000), st.integers(1, 10**12), st.booleans()
)
def test_one_liar_among_three_never_moves_the_median_beyond_the_honest(
    honest: int, apart: int, lie: int, first: bool
) -> None:
    values = [lie, honest, honest + apart] if first else [honest, honest + apart, lie]
    play = Play(oracle)
    step = play.do(tick(1, *values))
    assert honest <= step.of(OracleValidated)[0].price <= honest + apart


@for_all(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=4), max_size=12))
def test_reliability_stays_a_share_and_ticks_rise_whatever_is_read(rows: list[list[int]]) -> None:
    play = Play(oracle)
    play.do(SetFeedPolicy(min_sources=2, max_deviation=100))
    for number, values in enumerate(rows, 1):
        play.do(tick(number, *values))
    for feed in play.state.feeds.values():
        assert feed.tick == len(rows)
        assert all(0 <= source.reliability <= 10_000 for source in feed.sources.values())

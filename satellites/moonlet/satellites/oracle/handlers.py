"""Oracle: decides what a price is. It alone is told by the driver; all else follows from it."""

from typing import Final

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import BPS, PEG, peer, ratio, share_of
from moonlet.satellites.messages import AssetPrices, MarketData, Prices, RwaData, SentimentData
from moonlet.satellites.oracle.consensus import aggregate, deviations
from moonlet.satellites.oracle.events import Feed, Oracle, oracle
from moonlet.satellites.oracle.messages import (
    AiConsensusCompleted,
    AnomalyDetected,
    FeedPolicySet,
    OffChainDataVerified,
    OracleValidated,
    PerformCrossProviderConsensus,
    RefreshDataSources,
    RwaValidated,
    SetFeedPolicy,
    SourceOffline,
    ThresholdBreach,
    ThresholdRestored,
    ValidateOracleFeed,
    ValidateRwaProtocol,
    VerifyOffChainData,
)

__all__ = ["oracle"]

BAND: Final = 100
"""How far from the peg (basis points) a price may go before it is a breach."""


@oracle.on_command
def set_feed_policy(state: Oracle, command: SetFeedPolicy) -> Decision:
    """Change how sources become a price."""
    yield FeedPolicySet(command.min_sources, command.max_deviation, command.aggregation)


@oracle.on_command
def validate_oracle_feed(state: Oracle, command: ValidateOracleFeed, context: Context) -> Decision:
    """Judge a tick; tell the others the price, if enough sources agree on it."""
    feed = state.feeds.get(command.feed, Feed())
    if command.tick <= feed.tick:
        raise Rejected(f"tick {command.tick} of {command.feed} is not after tick {feed.tick}")
    names = [reading.source for reading in command.readings]
    if len(set(names)) < len(names):
        raise Rejected("each source may be read once a tick")
    reliability = {name: source.reliability for name, source in feed.sources.items()}
    price = aggregate(command.readings, state.aggregation, reliability, state.max_deviation)
    found = deviations(command.readings, price)
    agreeing = sum(abs(each.deviation) <= state.max_deviation for each in found)
    is_valid = agreeing >= state.min_sources
    score = ratio(agreeing, len(found))
    yield OracleValidated(
        command.feed, command.asset, command.tick, command.at, price, is_valid, score, found
    )
    for each, reading in zip(found, command.readings, strict=True):
        if abs(each.deviation) > state.max_deviation:
            yield AnomalyDetected(
                command.feed, command.tick, each.source, each.value, price, each.deviation,
                reading.synthetic,
            )  # fmt: skip
    for name, source in sorted(feed.sources.items()):
        if source.online and name not in names:
            yield SourceOffline(command.feed, name, command.tick)
    if is_valid:
        yield from _crossing(feed, command, price, context)
        yield from _tell(feed, command, price, score, context)


def _crossing(feed: Feed, command: ValidateOracleFeed, price: int, context: Context) -> Decision:
    threshold = PEG - share_of(PEG, BAND)
    if price < threshold and not feed.breached:
        yield ThresholdBreach(command.feed, command.tick, price, threshold)
        backing = RwaData(command.asset, ratio(price, PEG), ratio(price, PEG), command.tick)
        yield Send(peer(context, "sage"), backing)
    elif price >= threshold and feed.breached:
        yield ThresholdRestored(command.feed, command.tick, price)


def _tell(
    feed: Feed, command: ValidateOracleFeed, price: int, score: int, context: Context
) -> Decision:
    asset, tick, at = command.asset, command.tick, command.at
    prices = Prices(asset, price, tick, at, score)
    before = feed.price or price
    bar = MarketData(asset, tick, at, before, max(before, price), min(before, price), price)
    yield Send(peer(context, "aegis"), prices, lane="critical")
    yield Send(peer(context, "forge"), bar, lane="high")
    yield Send(peer(context, "sage"), prices)
    yield Send(peer(context, "pulse"), prices)
    yield Send(peer(context, "fuel"), prices)
    yield Send(peer(context, "bridge"), AssetPrices(asset, price, tick, at))
    yield Send(peer(context, "echo"), SentimentData(asset, tick, at, price))


@oracle.on_command
def validate_rwa_protocol(state: Oracle, command: ValidateRwaProtocol) -> Decision:
    """Reserves must cover the issue."""
    if command.issued == 0:
        raise Rejected(f"{command.protocol} has issued nothing: there is nothing to cover")
    coverage = min(ratio(command.reserves, command.issued), 1_000_000)
    yield RwaValidated(command.protocol, coverage, coverage >= BPS)
    yield Reply(coverage)


@oracle.on_command
def verify_off_chain_data(state: Oracle, command: VerifyOffChainData) -> Decision:
    """Claim and attestation must agree within the policy's deviation."""
    if command.attested == 0:
        raise Rejected(f"nothing was attested about {command.subject}")
    difference = ratio(abs(command.claimed - command.attested), command.attested)
    deviation = min(difference, 1_000_000)
    yield OffChainDataVerified(command.subject, deviation, deviation <= state.max_deviation)
    yield Reply(deviation <= state.max_deviation)


@oracle.on_command
def perform_cross_provider_consensus(
    state: Oracle, command: PerformCrossProviderConsensus
) -> Decision:
    """The verdict with more weight (confidence times past agreement) behind it; a tie is no."""
    weights = {True: 0, False: 0}
    for answer in command.answers:
        reliability = state.providers.get(answer.provider, BPS)
        weights[answer.verdict] += share_of(answer.confidence, reliability)
    verdict = weights[True] > weights[False]
    total = weights[True] + weights[False]
    dissenters = tuple(answer.provider for answer in command.answers if answer.verdict != verdict)
    yield AiConsensusCompleted(
        command.question, verdict, ratio(weights[verdict], total), dissenters
    )
    yield Reply(verdict)


@oracle.on_command
def refresh_data_sources(state: Oracle, command: RefreshDataSources) -> Decision:
    """Note the silent sources of a feed as offline."""
    feed = state.feeds.get(command.feed)
    if feed is None:
        raise Rejected(f"there is no feed {command.feed}")
    for name, source in sorted(feed.sources.items()):
        if source.online and feed.tick - source.tick > command.max_silence:
            yield SourceOffline(command.feed, name, feed.tick)

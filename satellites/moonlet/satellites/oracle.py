"""Oracle: decides what a price is. It alone is told by the driver; all else follows from it."""

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from moonlet.agents import AgentType, Context, Decision, Rejected, Reply, Send
from moonlet.satellites.consensus import aggregate, deviations, smoothed
from moonlet.satellites.messages.bridge import AssetPrices
from moonlet.satellites.messages.echo import SentimentData
from moonlet.satellites.messages.forge import MarketData
from moonlet.satellites.messages.market import Prices
from moonlet.satellites.messages.oracle import (
    Aggregation,
    AiConsensusCompleted,
    AnomalyDetected,
    FeedPolicySet,
    FeedStatus,
    OffChainDataVerified,
    OracleValidated,
    PerformCrossProviderConsensus,
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
from moonlet.satellites.messages.sage import RwaData
from moonlet.satellites.peers import peer
from moonlet.satellites.units import BPS, PEG, ratio, share_of

BAND: Final = 100
"""How far from the peg (basis points) a price may go before it is a breach."""

MEMORY: Final = 1_000
"""Share of a source's newest tick in its reliability, in basis points."""


class Source(Struct, frozen=True):
    """A source of a feed: how often it agreed (basis points, smoothed), when it last spoke."""

    reliability: int = BPS
    tick: int = 0
    online: bool = True


class Feed(Struct, frozen=True):
    """The last tick of a feed; `price` is 0 before the first valid one."""

    asset: str = ""
    tick: int = 0
    at: int = 0
    price: int = 0
    is_valid: bool = False
    breached: bool = False
    sources: dict[str, Source] = {}


class Oracle(Struct, frozen=True):
    """Feeds by name, the policy, and the last answers about assets and providers."""

    min_sources: int = 2
    max_deviation: int = 200
    aggregation: Aggregation = "median"
    feeds: dict[str, Feed] = {}
    rwa: dict[str, RwaValidated] = {}
    providers: dict[str, int] = {}


oracle = AgentType("oracle", Oracle, partitions=1)


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


@oracle.on_event
def feed_policy_set(state: Oracle, event: FeedPolicySet) -> Oracle:
    """Keep the policy."""
    return replace(state, **asdict(event))


@oracle.on_event
def oracle_validated(state: Oracle, event: OracleValidated) -> Oracle:
    """Keep the tick; each source's reliability moves toward whether it agreed."""
    feed = state.feeds.get(event.feed, Feed())
    sources = dict(feed.sources)
    for each in event.deviations:
        known = sources.get(each.source, Source())
        agreed = BPS if abs(each.deviation) <= state.max_deviation else 0
        reliability = smoothed(known.reliability, agreed, MEMORY)
        sources[each.source] = Source(reliability, event.tick, online=True)
    price = event.price if event.is_valid else feed.price
    return _with_feed(
        state, event.feed,
        Feed(event.asset, event.tick, event.at, price, event.is_valid, feed.breached, sources),
    )  # fmt: skip


@oracle.on_event
def anomaly_detected(state: Oracle, event: AnomalyDetected) -> Oracle:
    """Reliability was counted with the tick itself."""
    return state


@oracle.on_event
def source_offline(state: Oracle, event: SourceOffline) -> Oracle:
    """The source is silent until it speaks again."""
    feed = state.feeds[event.feed]
    source = replace(feed.sources[event.source], online=False)
    return _with_feed(
        state, event.feed, replace(feed, sources={**feed.sources, event.source: source})
    )


@oracle.on_event
def threshold_crossed(state: Oracle, event: ThresholdBreach | ThresholdRestored) -> Oracle:
    """Inside or outside the band."""
    breached = isinstance(event, ThresholdBreach)
    return _with_feed(state, event.feed, replace(state.feeds[event.feed], breached=breached))


@oracle.on_event
def rwa_validated(state: Oracle, event: RwaValidated) -> Oracle:
    """Keep the last validation of each protocol."""
    return replace(state, rwa={**state.rwa, event.protocol: event})


@oracle.on_event
def off_chain_data_verified(state: Oracle, event: OffChainDataVerified) -> Oracle:
    """Told to whoever asked; nothing later depends on it."""
    return state


@oracle.on_event
def ai_consensus_completed(state: Oracle, event: AiConsensusCompleted) -> Oracle:
    """Those who dissented weigh less next time."""
    providers = dict(state.providers)
    for name in event.dissenters:
        providers[name] = smoothed(providers.get(name, BPS), 0, MEMORY)
    return replace(state, providers=providers)


@oracle.on_query
def feed_status(state: Oracle, query: FeedStatus) -> Feed:
    """A feed as it is; tick 0 if nothing was heard of it."""
    return state.feeds.get(query.feed, Feed())


@oracle.on_query
def rwa_status(state: Oracle, query: RwaStatus) -> RwaValidated | None:
    """The last validation; None if there was none."""
    return state.rwa.get(query.protocol)


@oracle.on_query
def system_health(state: Oracle, query: SystemHealth) -> dict[str, Any]:
    """Which feeds are valid, which are off their peg."""
    return {
        "feeds": len(state.feeds),
        "valid": sorted(name for name, feed in state.feeds.items() if feed.is_valid),
        "breached": sorted(name for name, feed in state.feeds.items() if feed.breached),
    }


def _with_feed(state: Oracle, name: str, feed: Feed) -> Oracle:
    return replace(state, feeds={**state.feeds, name: feed})

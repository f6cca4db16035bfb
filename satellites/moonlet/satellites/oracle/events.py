"""Oracle's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from moonlet.agents import AgentType
from moonlet.satellites.common import BPS, smoothed
from moonlet.satellites.oracle.messages import (
    Aggregation,
    AiConsensusCompleted,
    AnomalyDetected,
    FeedPolicySet,
    FeedStatus,
    OffChainDataVerified,
    OracleValidated,
    RwaStatus,
    RwaValidated,
    SourceOffline,
    SystemHealth,
    ThresholdBreach,
    ThresholdRestored,
)

MEMORY: Final = 1_000
"""Share of a source's newest tick in its reliability, in basis points."""


class FeedSource(Struct, frozen=True):
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
    sources: dict[str, FeedSource] = {}


class Oracle(Struct, frozen=True):
    """Feeds by name, the policy, and the last answers about assets and providers."""

    min_sources: int = 2
    max_deviation: int = 200
    aggregation: Aggregation = "median"
    feeds: dict[str, Feed] = {}
    rwa: dict[str, RwaValidated] = {}
    providers: dict[str, int] = {}


oracle = AgentType("oracle", Oracle, partitions=1)


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
        known = sources.get(each.source, FeedSource())
        agreed = BPS if abs(each.deviation) <= state.max_deviation else 0
        reliability = smoothed(known.reliability, agreed, MEMORY)
        sources[each.source] = FeedSource(reliability, event.tick, online=True)
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

"""Oracle's messages: feeds, real-world assets, off-chain data."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Money, Name, Price, Share, Text, Tick, Time

Aggregation = Literal["median", "mean", "weighted", "majority"]


class Reading(Struct, frozen=True):
    """What one source says. `synthetic` marks a source that was derived, not observed."""

    source: Name
    value: Price
    at: Time
    synthetic: bool = False


class Deviation(Struct, frozen=True):
    """How far a source lies from the agreed price, in basis points of it."""

    source: Name
    value: Price
    deviation: int


# commands


class SetFeedPolicy(Struct, frozen=True):
    """How many sources must agree, how closely (bps), and how their values become one price."""

    min_sources: Annotated[int, Meta(ge=1, le=32)] = 2
    max_deviation: Share = 200
    aggregation: Aggregation = "median"


class ValidateOracleFeed(Struct, frozen=True):
    """One tick of a feed: what each source reads now. Ticks of a feed must rise."""

    feed: Name
    asset: Name
    tick: Tick
    at: Time
    readings: Annotated[tuple[Reading, ...], Meta(min_length=1, max_length=32)]


class ValidateRwaProtocol(Struct, frozen=True):
    """Check that a protocol's reserves cover what it has issued."""

    protocol: Name
    reserves: Money
    issued: Money


class VerifyOffChainData(Struct, frozen=True):
    """Compare what is claimed off chain with what was attested."""

    subject: Name
    claimed: Money
    attested: Money


class ProviderAnswer(Struct, frozen=True):
    """One provider's verdict on a question, and how sure it is."""

    provider: Name
    verdict: bool
    confidence: Share


class PerformCrossProviderConsensus(Struct, frozen=True):
    """Weigh several providers' verdicts by confidence and past reliability."""

    question: Text
    answers: Annotated[tuple[ProviderAnswer, ...], Meta(min_length=1, max_length=32)]


class RefreshDataSources(Struct, frozen=True):
    """Note as offline every source of a feed that was silent for over `max_silence` ticks."""

    feed: Name
    max_silence: Tick = 3


# queries


class FeedStatus(Struct, frozen=True):
    """The last tick and price of a feed and its sources' reliability."""

    feed: Name = "USDC-USD"


class RwaStatus(Struct, frozen=True):
    """The last validation of a real-world-asset protocol."""

    protocol: Name


class SystemHealth(Struct, frozen=True):
    """Feeds known, valid and breached."""


# events


class FeedPolicySet(Struct, frozen=True):
    """The policy from now on."""

    min_sources: int
    max_deviation: int
    aggregation: Aggregation


class OracleValidated(Struct, frozen=True):
    """A tick was judged. Not valid: too few sources agree, and the price went to nobody."""

    feed: Name
    asset: Name
    tick: Tick
    at: Time
    price: Price
    is_valid: bool
    score: Share
    deviations: tuple[Deviation, ...]


class AnomalyDetected(Struct, frozen=True):
    """A source lies further from the agreed price than the policy allows."""

    feed: Name
    tick: Tick
    source: Name
    value: Price
    price: Price
    deviation: int
    synthetic: bool


class SourceOffline(Struct, frozen=True):
    """A source said nothing where it used to."""

    feed: Name
    source: Name
    tick: Tick


class ThresholdBreach(Struct, frozen=True):
    """The price left the band around the peg."""

    feed: Name
    tick: Tick
    price: Price
    threshold: Price


class ThresholdRestored(Struct, frozen=True):
    """The price is back in the band."""

    feed: Name
    tick: Tick
    price: Price


class RwaValidated(Struct, frozen=True):
    """What share of the issue the reserves cover (bps; over 10,000 is more than all)."""

    protocol: Name
    coverage: int
    is_valid: bool


class OffChainDataVerified(Struct, frozen=True):
    """Whether claim and attestation agree within the policy."""

    subject: Name
    deviation: int
    is_valid: bool


class AiConsensusCompleted(Struct, frozen=True):
    """The providers' common verdict; `agreement` is the weight behind it."""

    question: Text
    verdict: bool
    agreement: Share
    dissenters: tuple[Name, ...]

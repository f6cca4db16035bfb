"""What satellites think of protocols and assets: ratings, moods, stories, what backs an asset."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Mood, Name, Share, Tick, Time

Risk = Literal["low", "medium", "high", "critical"]


class ProtocolRating(Struct, frozen=True):
    """Sage's opinion of a protocol: `score` 0 to 100, higher is safer."""

    protocol: Name
    score: int
    risk: Risk
    tick: Tick


class SentimentData(Struct, frozen=True):
    """Oracle: it is this tick now, and the entity's price is `price`."""

    entity: Name
    tick: Tick
    at: Time
    price: int


class Narrative(Struct, frozen=True):
    """Echo: a story about an asset has come up; its mood is -10,000 to 10,000."""

    asset: Name
    topic: Name
    mood: Mood
    tick: Tick


class RwaData(Struct, frozen=True):
    """What backs an asset: coverage in basis points, and the share of it that is liquid."""

    asset: Name
    coverage: Annotated[int, Meta(ge=0, le=1_000_000)]
    liquid: Share
    tick: Tick

"""Echo's messages: posts, moods, narratives. User names are invented: no post is real."""

from typing import Annotated

from msgspec import Meta, Struct

from moonlet.satellites.common import Mood, Name, Share, Text, Tick

Reach = Annotated[int, Meta(ge=0, le=10**10)]


class Post(Struct, frozen=True):
    """A post that becomes visible at a tick; `engagement` counts likes and shares."""

    user: Name
    entity: Name
    text: Text
    tick: Tick
    followers: Reach
    engagement: Reach = 0


# commands


class SocialMediaData(Struct, frozen=True):
    """Posts to come, by tick; those of ticks already past are read at the next."""

    posts: Annotated[tuple[Post, ...], Meta(max_length=256)]


class AnalyzeSentiment(Struct, frozen=True):
    """Score an entity's mood from the posts in its window."""

    entity: Name


class AnalyzeTrends(Struct, frozen=True):
    """Which topics an entity's window speaks of most."""

    entity: Name


class AnalyzeInfluencer(Struct, frozen=True):
    """What a user's posts did."""

    user: Name


class AnalyzeNarrative(Struct, frozen=True):
    """Whether the window tells one story."""

    entity: Name


class GetHealth(Struct, frozen=True):
    """How Echo is; as a command it stands in the journal."""


# queries


class SentimentAnalysis(Struct, frozen=True):
    """An entity's mood as it is."""

    entity: Name


class TrendAnalysis(Struct, frozen=True):
    """An entity's topics as they are."""

    entity: Name


class SystemStatus(Struct, frozen=True):
    """How Echo is."""


# events


class PostsQueued(Struct, frozen=True):
    """Posts to come."""

    posts: tuple[Post, ...]


class PostRead(Struct, frozen=True):
    """A post entered its entity's window: its mood, fear and greed, and topic ('' for none)."""

    user: Name
    entity: Name
    tick: Tick
    mood: Mood
    fud: Share
    fomo: Share
    topic: str
    followers: Reach
    engagement: Reach


class SentimentAnalysisCompleted(Struct, frozen=True):
    """An entity's mood over its window: score -10,000 to 10,000, fear and greed 0 to 10,000."""

    entity: Name
    tick: Tick
    score: Mood
    fud: Share
    fomo: Share
    posts: int


class TrendDetected(Struct, frozen=True):
    """A topic is in at least a third of the window."""

    entity: Name
    topic: Name
    share: Share


class InfluencerActivity(Struct, frozen=True):
    """A user with many followers posted."""

    user: Name
    entity: Name
    followers: Reach
    mood: Mood


class NarrativeEmergence(Struct, frozen=True):
    """The window tells one story; told once until it fades."""

    entity: Name
    topic: Name
    fud: Share
    mood: Mood
    tick: Tick


class NarrativeFaded(Struct, frozen=True):
    """The story is over."""

    entity: Name
    tick: Tick


class ViralContentDetected(Struct, frozen=True):
    """A post's engagement is far above what its followers explain."""

    user: Name
    entity: Name
    engagement: Reach


class NewProjectDiscovered(Struct, frozen=True):
    """An entity was spoken of for the first time."""

    entity: Name


class AdoptionSignalDetected(Struct, frozen=True):
    """A post reports use of the entity, and not only talk of it."""

    entity: Name
    user: Name

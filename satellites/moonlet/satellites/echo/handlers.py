"""Echo: listens to what is said, keeps a rolling mood per entity, and tells Sage of stories."""

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import AgentType, Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import peer, require
from moonlet.satellites.echo.messages import (
    AdoptionSignalDetected,
    AnalyzeInfluencer,
    AnalyzeNarrative,
    AnalyzeSentiment,
    AnalyzeTrends,
    GetHealth,
    InfluencerActivity,
    NarrativeEmergence,
    NarrativeFaded,
    NewProjectDiscovered,
    Post,
    PostRead,
    PostsQueued,
    SentimentAnalysis,
    SentimentAnalysisCompleted,
    SocialMediaData,
    SystemStatus,
    TrendAnalysis,
    TrendDetected,
    ViralContentDetected,
)
from moonlet.satellites.echo.mood import ENOUGH, STORY, WINDOW, of_window, read, topics_of, uses
from moonlet.satellites.messages import Narrative, SentimentData

MAX_QUEUED: Final = 1_000
MAX_ENTITIES: Final = 200
INFLUENCER: Final = 100_000
"""Followers from which a user is an influencer."""

VIRAL: Final = 2
"""Engagement this many times a post's followers is viral."""

TREND: Final = 3_333
"""A topic in this share of the window (basis points) is a trend."""

AT_ONCE: Final = 100
"""Posts that are read at one tick."""


class Echo(Struct, frozen=True):
    """Posts to come; the window of each entity; stories being told, by entity; trends known."""

    queued: tuple[Post, ...] = ()
    windows: dict[str, tuple[PostRead, ...]] = {}
    stories: dict[str, str] = {}
    trends: dict[str, str] = {}
    tick: int = 0
    read: int = 0


echo = AgentType("echo", Echo, partitions=1)


@echo.on_command
def social_media_data(state: Echo, command: SocialMediaData) -> Decision:
    """Queue posts."""
    if len(state.queued) + len(command.posts) > MAX_QUEUED:
        raise Rejected(f"{MAX_QUEUED:,} posts may be queued, and {len(state.queued)} are")
    entities = {*state.windows, *(post.entity for post in (*state.queued, *command.posts))}
    if len(entities) > MAX_ENTITIES:
        raise Rejected(f"{MAX_ENTITIES} entities are the limit, and these make {len(entities)}")
    yield PostsQueued(command.posts)


@echo.on_command
def sentiment_data(state: Echo, command: SentimentData, context: Context) -> Decision:
    """A tick: read the posts that are visible by now, and say what they add up to."""
    require(context, "oracle", "a tick")
    due = [post for post in state.queued if post.tick <= command.tick][:AT_ONCE]
    known = set(state.windows)
    windows = dict(state.windows)
    for post in due:
        yield from _read(post, known)
        windows[post.entity] = (*windows.get(post.entity, ()), read(post))[-WINDOW:]
        known.add(post.entity)
    for entity in sorted({post.entity for post in due}):
        yield from _analyze(state, entity, windows[entity], command.tick, context)


def _read(post: Post, known: set[str]) -> Decision:
    if post.entity not in known:
        yield NewProjectDiscovered(post.entity)
    mood = read(post)
    yield mood
    if post.followers >= INFLUENCER:
        yield InfluencerActivity(post.user, post.entity, post.followers, mood.mood)
    if post.engagement > VIRAL * max(post.followers, 100):
        yield ViralContentDetected(post.user, post.entity, post.engagement)
    if uses(post):
        yield AdoptionSignalDetected(post.entity, post.user)


def _analyze(
    state: Echo, entity: str, window: tuple[PostRead, ...], tick: int, context: Context
) -> Decision:
    mood = of_window(entity, tick, window)
    yield mood
    topics = topics_of(window)
    topic, share = next(iter(topics.items()), ("", 0))
    if share >= TREND and len(window) >= ENOUGH and state.trends.get(entity) != topic:
        yield TrendDetected(entity, topic, share)
    is_told = entity in state.stories
    if not is_told and len(window) >= ENOUGH and mood.fud >= STORY:
        story = topic or "fear"
        yield NarrativeEmergence(entity, story, mood.fud, mood.score, tick)
        yield Send(peer(context, "sage"), Narrative(entity, story, mood.score, tick))
    elif is_told and mood.fud < STORY // 2:
        yield NarrativeFaded(entity, tick)
        yield Send(peer(context, "sage"), Narrative(entity, "recovery", mood.score, tick))


@echo.on_command
def analyze_sentiment(state: Echo, command: AnalyzeSentiment) -> Decision:
    """Score an entity's window as it is, and keep the score."""
    mood = of_window(command.entity, state.tick, _window(state, command.entity))
    yield mood
    yield Reply(mood)


@echo.on_command
def analyze_trends(state: Echo, command: AnalyzeTrends) -> Decision:
    """The topics of an entity's window; the strongest is noted as its trend."""
    topics = topics_of(_window(state, command.entity))
    for topic, share in list(topics.items())[:1]:
        yield TrendDetected(command.entity, topic, share)
    yield Reply(topics)


@echo.on_command
def analyze_influencer(state: Echo, command: AnalyzeInfluencer) -> Decision:
    """What a user's posts in the windows say."""
    posts = [p for window in state.windows.values() for p in window if p.user == command.user]
    if not posts:
        raise Rejected(f"no post of {command.user} is in a window")
    last = posts[-1]
    mood = sum(post.mood for post in posts) // len(posts)
    yield InfluencerActivity(command.user, last.entity, last.followers, mood)
    yield Reply({"posts": len(posts), "followers": last.followers, "mood": mood})


@echo.on_command
def analyze_narrative(state: Echo, command: AnalyzeNarrative) -> Decision:
    """The story told of an entity, if there is one."""
    mood = of_window(command.entity, state.tick, _window(state, command.entity))
    yield Reply({"story": state.stories.get(command.entity), "fud": mood.fud})


@echo.on_command
def get_health(state: Echo, command: GetHealth) -> Decision:
    """The status, asked for as a command."""
    yield Reply(_status(state))


@echo.on_event
def posts_queued(state: Echo, event: PostsQueued) -> Echo:
    """Keep them by tick; those of one tick in the order they came."""
    queued = sorted((*state.queued, *event.posts), key=lambda post: post.tick)
    return replace(state, queued=tuple(queued))


@echo.on_event
def post_read(state: Echo, event: PostRead) -> Echo:
    """It leaves the queue and enters its window, which forgets its oldest."""
    window = (*state.windows.get(event.entity, ()), event)[-WINDOW:]
    return replace(
        state,
        queued=state.queued[1:],
        windows={**state.windows, event.entity: window},
        tick=max(state.tick, event.tick),
        read=state.read + 1,
    )


@echo.on_event
def narrative_emergence(state: Echo, event: NarrativeEmergence) -> Echo:
    """The story is being told."""
    return replace(state, stories={**state.stories, event.entity: event.topic})


@echo.on_event
def narrative_faded(state: Echo, event: NarrativeFaded) -> Echo:
    """It may be told again."""
    stories = {name: story for name, story in state.stories.items() if name != event.entity}
    return replace(state, stories=stories)


@echo.on_event
def trend_detected(state: Echo, event: TrendDetected) -> Echo:
    """Told; only another topic is news."""
    return replace(state, trends={**state.trends, event.entity: event.topic})


@echo.on_event
def kept_in_the_journal(
    state: Echo,
    event: SentimentAnalysisCompleted
    | InfluencerActivity
    | ViralContentDetected
    | NewProjectDiscovered
    | AdoptionSignalDetected,
) -> Echo:
    """Nothing later depends on these."""
    return state


@echo.on_query
def sentiment_analysis(state: Echo, query: SentimentAnalysis) -> SentimentAnalysisCompleted:
    """The mood as it is; of 0 posts if nothing was heard."""
    return of_window(query.entity, state.tick, state.windows.get(query.entity, ()))


@echo.on_query
def trend_analysis(state: Echo, query: TrendAnalysis) -> dict[str, int]:
    """Each topic's share of the window, in basis points."""
    return topics_of(state.windows.get(query.entity, ()))


@echo.on_query
def system_status(state: Echo, query: SystemStatus) -> dict[str, Any]:
    """How Echo is."""
    return _status(state)


def _window(state: Echo, entity: str) -> tuple[PostRead, ...]:
    if entity not in state.windows:
        raise Rejected(f"nothing was heard of {entity}")
    return state.windows[entity]


def _status(state: Echo) -> dict[str, Any]:
    return {
        "queued": len(state.queued),
        "read": state.read,
        "entities": len(state.windows),
        "stories": state.stories,
    }

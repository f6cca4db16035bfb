"""Moods of posts and of windows of posts, from a small word list; whole numbers throughout."""

from collections.abc import Sequence
from typing import Final

from moonlet.satellites.common import BPS, ratio
from moonlet.satellites.echo.messages import Post, PostRead, SentimentAnalysisCompleted

FEAR: Final = frozenset(
    "depeg depegging insolvent insolvency run panic collapse crash seizure fear dump scam"
    " frozen stuck broken contagion worthless".split()
)
GREED: Final = frozenset("buy dip moon bargain cheap arbitrage bullish recovery restored".split())
USE: Final = frozenset("redeemed settled paid accepted integrated".split())
"""Words of somebody who uses a thing, and doesn't only talk about it."""

TOPICS: Final = frozenset("depeg bank redemption seizure recovery liquidity".split())
WINDOW: Final = 50
"""Posts in an entity's window: the newest."""

ENOUGH: Final = 5
"""Posts that a window must hold before it can tell a story."""

STORY: Final = 6_000
"""Fear (basis points) from which a window tells one; below half of it the story is over."""


def read(post: Post) -> PostRead:
    """The mood of one post: greed less fear, over all words that carry either."""
    words = [word.strip(".,!?'\"#@:;()").lower() for word in post.text.split()]
    fear = sum(word in FEAR for word in words)
    greed = sum(word in GREED for word in words)
    topics = [word for word in words if word in TOPICS]
    return PostRead(
        post.user,
        post.entity,
        post.tick,
        mood=(greed - fear) * BPS // (greed + fear) if greed + fear else 0,
        fud=min(fear * 4_000, BPS),
        fomo=min(greed * 4_000, BPS),
        topic=topics[0] if topics else "",
        followers=post.followers,
        engagement=post.engagement,
    )


def uses(post: Post) -> bool:
    """Whether the post reports use."""
    return any(word.strip(".,!?").lower() in USE for word in post.text.split())


def weight(post: PostRead) -> int:
    """How much a post counts: 1, and 1 more for each digit of its followers' number."""
    return 1 + len(str(post.followers))


def of_window(entity: str, tick: int, window: Sequence[PostRead]) -> SentimentAnalysisCompleted:
    """The weighted mood of a window; all zero for an empty one."""
    total = sum(weight(post) for post in window) or 1
    score = sum(weight(post) * post.mood for post in window) // total
    fud = sum(weight(post) * post.fud for post in window) // total
    fomo = sum(weight(post) * post.fomo for post in window) // total
    return SentimentAnalysisCompleted(entity, tick, score, fud, fomo, len(window))


def topics_of(window: Sequence[PostRead]) -> dict[str, int]:
    """Each topic's share of the window, the most spoken of first."""
    counts: dict[str, int] = {}
    for post in window:
        if post.topic:
            counts[post.topic] = counts.get(post.topic, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {topic: ratio(count, len(window)) for topic, count in ordered}

"""Echo: rolling moods, stories told once, bounded windows."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from moonlet.satellites import echo
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
    SentimentAnalysis,
    SentimentAnalysisCompleted,
    SocialMediaData,
    SystemStatus,
    TrendAnalysis,
    TrendDetected,
    ViralContentDetected,
)
from moonlet.satellites.echo.mood import WINDOW, of_window, read
from moonlet.satellites.messages import SentimentData
from tests.satellites.play import Play

FEAR = "A bank run, panic and collapse"
CALM = "It works like a bank should"
JOY = "Recovery! Buy the dip, bullish"


def post(text: str, tick: int = 1, user: str = "ann", followers: int = 100, likes: int = 0) -> Post:
    return Post(user, "USDC", text, tick, followers, likes)


def at(play: Play[Any], tick: int) -> Any:
    return play.do(SentimentData("USDC", tick, tick * 60, 10**6), sender="oracle/main")


def test_a_post_is_read_at_its_tick_and_not_before() -> None:
    play = Play(echo)
    play.do(SocialMediaData((post(FEAR, tick=3), post(CALM, tick=1))))
    assert [p.tick for p in at(play, 1).of(PostRead)] == [1]
    assert at(play, 2).events == []
    assert [p.tick for p in at(play, 9).of(PostRead)] == [3]
    assert play.ask(SystemStatus())["queued"] == 0


def test_fear_and_greed_make_the_mood() -> None:
    fear, joy, calm = read(post(FEAR)), read(post(JOY)), read(post(CALM))
    assert (fear.mood, fear.fud, fear.fomo) == (-10_000, 10_000, 0)
    assert (joy.mood, joy.fud, joy.fomo) == (10_000, 0, 10_000)
    assert (calm.mood, calm.topic) == (0, "bank")


def test_a_story_is_told_to_sage_once_and_again_only_after_it_faded() -> None:
    play = Play(echo)
    play.do(SocialMediaData(tuple(post(FEAR, tick=n) for n in range(1, 8))))
    told = [at(play, tick) for tick in range(1, 8)]
    assert [len(step.sends("Narrative")) for step in told] == [0, 0, 0, 0, 1, 0, 0]
    (story,) = play.events(NarrativeEmergence)
    assert (story.topic, story.fud, story.mood) == ("bank", 10_000, -10_000)
    assert play.do(AnalyzeNarrative("USDC")).reply == {"story": "bank", "fud": 10_000}
    play.do(SocialMediaData(tuple(post(JOY, tick=8) for _ in range(20))))
    step = at(play, 8)
    assert len(step.of(NarrativeFaded)) == 1
    assert step.sends("Narrative")[0][1]["topic"] == "recovery"


def test_trends_influencers_viral_posts_and_use_are_noted() -> None:
    play = Play(echo)
    posts = [post("the depeg", user="sue", followers=500_000)] + [post("depeg")] * 4
    posts += [post("I redeemed at par", likes=900)]
    play.do(SocialMediaData(tuple(posts)))
    step = at(play, 1)
    assert step.of(NewProjectDiscovered) == [NewProjectDiscovered("USDC")]
    assert step.of(InfluencerActivity)[0].user == "sue"
    assert step.of(TrendDetected)[0].topic == "depeg"
    assert step.of(ViralContentDetected)[0].engagement == 900
    assert len(step.of(AdoptionSignalDetected)) == 1
    assert play.ask(TrendAnalysis("USDC")) == {"depeg": 8_333}
    assert play.do(AnalyzeTrends("USDC")).reply == {"depeg": 8_333}
    assert play.do(AnalyzeInfluencer("sue")).reply["posts"] == 1
    assert "no post of bob" in play.do(AnalyzeInfluencer("bob")).reason


def test_what_was_never_heard_of_is_refused_and_queues_are_bounded() -> None:
    play = Play(echo)
    assert play.do(AnalyzeSentiment("USDC")).reason == "nothing was heard of USDC"
    assert play.ask(SentimentAnalysis("USDC"))["posts"] == 0
    many = SocialMediaData(tuple(post(CALM) for _ in range(250)))
    assert [play.do(many).outcome for _ in range(5)] == ["accepted"] * 4 + ["rejected"]
    strange = SocialMediaData(tuple(Post("u", f"e{n}", "x", 1, 1) for n in range(201)))
    assert "200 entities are the limit" in Play(echo).do(strange).reason
    assert play.do(GetHealth()).reply == play.ask(SystemStatus())


def test_a_window_forgets_all_but_its_newest_fifty_posts() -> None:
    play = Play(echo)
    play.do(SocialMediaData(tuple(post(CALM, likes=n) for n in range(70))))
    at(play, 1)
    assert [p.engagement for p in play.state.windows["USDC"]] == list(range(20, 70))
    play.do(SocialMediaData(tuple(post(CALM) for _ in range(120))))
    assert len(at(play, 2).of(PostRead)) == 100  # so many at a tick
    assert len(at(play, 3).of(PostRead)) == 20


words = st.sampled_from("run panic collapse buy dip bank depeg the a redeemed calm".split())
texts = st.lists(words, max_size=8).map(" ".join)
posts = st.builds(
    post, texts, st.integers(1, 6), st.sampled_from(["ann", "bob"]), st.integers(0, 10**9),
    st.integers(0, 10**9),
)  # fmt: skip


@settings(max_examples=60)
@for_all(st.lists(st.lists(posts, max_size=40), max_size=4))
def test_the_rolling_mood_is_that_of_the_last_fifty_posts_and_in_its_range(
    batches: list[list[Post]],
) -> None:
    play = Play(echo)
    for batch in batches:
        play.do(SocialMediaData(tuple(batch)))
    for tick in range(1, 8):
        at(play, tick)
    assert play.state.queued == ()
    everything = play.events(PostRead)
    assert len(everything) == sum(len(batch) for batch in batches)
    window = everything[-WINDOW:]
    assert list(play.state.windows.get("USDC", ())) == window
    for mood in play.events(SentimentAnalysisCompleted):
        assert -10_000 <= mood.score <= 10_000
        assert 0 <= mood.fud <= 10_000 and 0 <= mood.fomo <= 10_000
        assert mood.posts <= WINDOW
    if everything:
        now = play.ask(SentimentAnalysis("USDC"))
        assert now["score"] == of_window("USDC", 0, window).score

"""States at any point: one agent's by keyframes, many at once, and cuts through all journals."""

import msgspec
import pytest

from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, Timeline, cause_of, commits_of, cut_at, fold_at, states_at
from moonlet.replay.states import timeline as timelines
from moonlet.streams import decode_plain_commit
from tests.replay.shop import TYPES, order

BY_NAME = {made.name: made for made in TYPES}
AGENT = AgentId("order", "a")


@pytest.mark.parametrize("every", [1, 2, 3, 255])
async def test_any_revision_is_what_a_fold_from_the_first_gives(
    shop: BundleSource, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "SEGMENT", every)
    timeline = await Timeline.open(shop, order, AGENT)
    for revision in (*range(5), 3, 0, 4):
        fold = await fold_at(shop, order, AGENT, revision)
        at = await timeline.at(revision)
        assert (at.state, at.revision, at.digest) == (fold.state, revision, fold.digest)
    for revision in range(1, 5):
        assert (await timeline.commit(revision)).revision == revision
    for wrong in (5, -1):
        with pytest.raises(Invalid, match=f"order/a has no revision {wrong}: its last is 4"):
            await timeline.at(wrong)
    with pytest.raises(Invalid):
        await timeline.commit(5)


async def test_all_agents_of_a_type_now_and_at_a_cut(shop: BundleSource) -> None:
    now = await states_at(shop, BY_NAME, "order")
    assert [(str(s.agent), s.state.status) for s in now] == [
        ("order/a", "paid"), ("order/b", "sold out"), ("order/c", "overdue"),
    ]  # fmt: skip
    commits = [commit async for commit in commits_of(shop, AGENT)]
    cut = await cut_at(shop, commits[2].wall_us + 1_000)
    assert [str(s.agent) for s in await states_at(shop, BY_NAME, "order", cut)] == ["order/a"]
    assert (await cut_at(shop, 0)).frontier == {"shop-journal-goods": 0, "shop-journal-orders": 0}


async def test_in_no_cut_an_effect_stands_without_its_cause(shop: BundleSource) -> None:
    """At each moment between two commits of any journal, and with one journal's clock ahead."""
    places: dict[tuple[str, int], tuple[str, int]] = {}
    caused: list[tuple[str, int, str, int]] = []
    times: set[int] = set()
    for facts in await shop.journals():
        async for batch in shop.messages(facts.stream):
            for message in batch:
                commit = decode_plain_commit(facts.stream, message)
                places[commit.agent, commit.revision] = (facts.stream, message.sequence)
                times.add(message.time // 1_000)
                cause = cause_of(commit)
                if cause is not None:
                    place = (facts.stream, message.sequence)
                    caused.append((*place, cause.agent, cause.revision))
    assert len(caused) > 8
    for ahead in (0, 5_000_000_000):
        skewed = _with_a_clock_ahead(shop, ahead)
        lowered = 0
        for micros in sorted(times):
            cut = await cut_at(skewed, micros)
            lowered += len(cut.lowered)
            for stream, sequence, agent, revision in caused:
                if sequence <= cut.frontier[stream]:
                    home, stands = places[agent, revision]
                    assert stands <= cut.frontier[home]
        assert bool(lowered) == bool(ahead), "a clock that is off was met"


def _with_a_clock_ahead(shop: BundleSource, nanoseconds: int) -> BundleSource:
    """The same history, stored by servers of which that of the orders was ahead."""
    bundle = shop._bundle
    streams = [
        msgspec.structs.replace(
            held,
            messages=[
                msgspec.structs.replace(message, time=message.time + nanoseconds)
                if held.name.endswith("orders")
                else message
                for message in held.messages
            ],
        )
        for held in bundle.streams
    ]
    return BundleSource(msgspec.structs.replace(bundle, streams=streams), "skewed")

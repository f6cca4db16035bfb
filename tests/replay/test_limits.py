"""What is kept of histories is bounded, and beyond every bound the answers are the same."""

from random import Random

import pytest

from moonlet.core.ids import AgentId
from moonlet.replay import MemoryKeyframes, ScanLookup, Timeline
from moonlet.replay.causes import lookup
from moonlet.replay.sources import paging
from moonlet.replay.states import keyframes
from moonlet.replay.states import timeline as timelines
from tests.agents.accounts import account_type
from tests.replay.histories import history

EACH = 40
SMALL = (
    (timelines, "SEGMENT", 4), (timelines, "SEGMENTS_MAX", 2), (paging, "PAGES_MAX", 1),
    (paging, "NEAR", 2), (keyframes, "KEPT_MAX", 3), (keyframes, "AGENTS_KEPT", 1),
    (lookup, "AGENTS_KEPT", 1),
)  # fmt: skip


@pytest.fixture(params=[False, True], ids=["as they are", "small"])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    for module, name, value in SMALL if request.param else ():
        monkeypatch.setattr(module, name, value)
    return bool(request.param)


async def test_any_revision_in_any_order_is_the_same_beyond_every_bound(limits: bool) -> None:
    """Forward, back and at random, by turns of three agents, with one keeper of states for all."""
    source, account, kept = history(3, EACH), account_type(), MemoryKeyframes()
    found, dice = ScanLookup(source), Random(1)
    agents = [AgentId("account", f"s{number}") for number in range(3)]
    revisions = [*range(1, EACH + 1), *range(EACH, 0, -1), *dice.sample(range(1, EACH + 1), EACH)]
    first = {agent: await Timeline.open(source, account, agent) for agent in agents}
    wanted = {
        (agent, revision): (await first[agent].at(revision)).state
        for agent in agents
        for revision in range(1, EACH + 1)
    }
    for revision in revisions:
        for agent in agents:
            timeline = await Timeline.open(source, account, agent, kept)
            assert (await timeline.at(revision)).state == wanted[agent, revision]
            commit = await found.commit(str(agent), revision)
            assert commit is not None
            assert commit == await timeline.commit(revision)
            assert commit.revision == revision
    if limits:
        assert len(kept._known) == 1 and len(found._pages) == 1
        assert all(len(each[2]._kept) <= 3 for each in kept._known.values())

"""Travelling in time: states at any revision, causes, cuts, replay against code, the index.

Histories are made in memory, as a bundle holds them; only the index is fed by a server.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

from moonlet.console.common import Options, Output
from moonlet.console.replay import Reading
from moonlet.console.tui.browser import Browser
from moonlet.core.ids import AgentId
from moonlet.replay import (
    Point,
    ServerSource,
    Timeline,
    commit_at,
    cut_at,
    fold_at,
    replay_all,
    resolve,
    states_at,
    why,
)
from moonlet.replay.index import Index, IndexLookup, follow, open_database
from moonlet.streams import Topology, decode_plain_commit
from tests.agents.accounts import account_type
from tests.benchmarks.replay import bare
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import world
from tests.journals import write_deposits
from tests.replay.histories import history

LONG = 1_000_000
MANY = 10_000
EACH = 100
ASKED = 50

STATE = Row(
    "state at a random revision of 1 M commits, from keyframes",
    "ms",
    "from the nearest of none: the fold of the half before it",
    less_is_better=True,
    bar_value=20,
)
REPLAYED = Row(
    "replay against code, from a bundle",
    "commits/s",
    "every commit folded, none decided again",
    bar_value=50_000,
)
CAUSES = Row(
    "causes of any commit of 1 M, by the index",
    "ms",
    "the same by a scan of its agent alone",
    less_is_better=True,
    bar_value=20,
)
CUT = Row(
    "consistent cut through two journals of 10,000 agents x 100",
    "s",
    "each commit decoded, nothing linked",
    less_is_better=True,
    bar_value=2,
)
INDEXED = Row(
    "index from the server",
    "commits/s",
    "raw nats-py pull into one inbox, nothing decoded",
    bar_value=100_000,
)

SCREEN = Row(
    "the terminal UI opens an agent of 100,000 commits, newest commits seen",
    "s",
    "the fold of its history, nothing shown",
    less_is_better=True,
    bar_value=1,
)
STATE_SEEN = Row(
    "the same, until its newest state is seen, nothing kept from before",
    "s",
    "the fold of its history, nothing shown",
    less_is_better=True,
)


async def states(scale: Scale) -> AsyncGenerator[Round, None]:
    """One agent of a million commits."""
    count = scale.of(LONG, 1_000)
    source, agent, dice = history(1, count), AgentId("account", "s0"), Random(1)
    timeline = await Timeline.open(source, account_type(), agent)
    while True:
        asked = [dice.randrange(count) for _ in range(ASKED)]
        began = time.perf_counter()
        found = [(await timeline.at(revision)).state.balance for revision in asked]
        taken = (time.perf_counter() - began) / ASKED
        assert found == asked
        began = time.perf_counter()
        fold = await fold_at(source, account_type(), agent, count // 2)
        baseline = time.perf_counter() - began
        assert fold.state.balance == count // 2
        yield {STATE.name: Pair(taken * 1_000, baseline * 1_000)}


async def replays(scale: Scale) -> AsyncGenerator[Round, None]:
    """A hundred agents, decided again and compared."""
    source = history(100, scale.of(1_000, 10))
    types = {"account": account_type()}
    while True:
        began = time.perf_counter()
        replayed = await replay_all(source, types)
        taken = time.perf_counter() - began
        count = sum(each.decided for each in replayed)
        assert count == 100 * scale.of(1_000, 10)
        began = time.perf_counter()
        await states_at(source, types, "account")
        baseline = time.perf_counter() - began
        yield {REPLAYED.name: Pair(count / taken, count / baseline)}


async def many(scale: Scale) -> AsyncGenerator[Round, None]:
    """Ten thousand agents at a cut, and causes by an index of all their commits."""
    two = Topology(journals={"main": ["account"], "other": ["other"]})
    source, dice = history(scale.of(MANY, 10), EACH, two), Random(1)
    database = open_database(None)
    await follow(database, source)
    lookup = IndexLookup(Index(database), source)
    stream = source.topology.journal_streams[0]
    while True:
        began = time.perf_counter()
        cut = await cut_at(source, source.now_us())
        taken = time.perf_counter() - began
        assert cut.frontier[stream] and not cut.lowered
        began = time.perf_counter()
        async for batch in source.messages(stream):
            for message in batch:
                decode_plain_commit(stream, message)
        decoded = time.perf_counter() - began
        agents = [f"account/s{dice.randrange(scale.of(MANY, 10))}" for _ in range(ASKED)]
        began = time.perf_counter()
        for agent in agents:
            commit = await lookup.commit(agent, dice.randrange(1, EACH + 1))
            assert commit is not None and len(await why(lookup, commit)) == 1
        causes = (time.perf_counter() - began) / ASKED
        began = time.perf_counter()
        for agent in agents:
            await commit_at(source, await resolve(source, f"{agent}@{EACH}"))
        scanned = (time.perf_counter() - began) / ASKED
        yield {
            CUT.name: Pair(taken, decoded),
            CAUSES.name: Pair(causes * 1_000, scanned * 1_000),
        }


async def indexes(scale: Scale) -> AsyncGenerator[Round, None]:
    """A journal of a server, indexed from nothing in memory."""
    async with world(fsync=False) as w:
        prefix = w.prefix()
        async with w.moon(prefix) as moon:
            await write_deposits(moon, scale.of(2_000, 10), EACH)
            stream = f"{prefix}-journal-main"
            while True:
                count = await w.messages(stream)
                baseline = await bare(w, stream, count)
                database = open_database(None)
                began = time.perf_counter()
                assert await follow(database, ServerSource(moon.bus)) == count
                taken = time.perf_counter() - began
                database.close()
                yield {INDEXED.name: Pair(count / taken, baseline)}


async def screens(scale: Scale) -> AsyncGenerator[Round, None]:
    """From nothing to the commits at the end, and to the state there, without an index."""
    source = history(1, scale.of(100_000, 100))
    types = {"account": account_type()}
    options = Options(None, None, Path(), False, False, Output(json=True))
    agent = AgentId("account", "s0")
    while True:
        began = time.perf_counter()
        fold = await fold_at(source, types["account"], agent)
        folded = time.perf_counter() - began
        began = time.perf_counter()
        made = Browser(
            options,
            Reading(source, None),
            types,
            Point(agent, fold.revision),
            keyframes=None,
            modules=[],
            bundle=None,
        )
        async with made.run_test() as pilot:
            await _seen(made, f"{fold.revision}  Deposit")
            commits = time.perf_counter() - began
            await _seen(made, f"balance: {fold.state.balance}")
            state = time.perf_counter() - began
            await pilot.press("q")
        yield {SCREEN.name: Pair(commits, folded), STATE_SEEN.name: Pair(state, folded)}


async def _seen(made: Browser, text: str) -> None:
    """Until the text is on the screen."""
    async with asyncio.timeout(60):
        while True:
            strips = made.screen._compositor.render_strips()
            if text in "".join(strip.text for strip in strips):
                return
            await asyncio.sleep(0.05)  # sleeps: another look at the screen


WORKS = (
    Work((SCREEN, STATE_SEEN), screens, rounds=5),
    Work((STATE,), states, rounds=5),
    Work((REPLAYED,), replays, rounds=5),
    Work((CUT, CAUSES), many, rounds=5),
    Work((INDEXED,), indexes, rounds=5),
)

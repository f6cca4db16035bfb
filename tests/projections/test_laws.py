"""The laws of convergence, on scripts of at least 25 steps over three journals and replicas.

`MOONLET_LAWS_EXAMPLES` sets the examples per law (100000 in `make laws`).
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from moonlet.projections import DeltaGap, ViewState, apply_delta, make_delta
from tests.projections.spec import Did, Op, Recorded
from tests.projections.world import NAMES, REPLICAS, Digits, World, new_state
from tests.tools.tree import ROOT

EXAMPLES = int(os.environ.get("MOONLET_LAWS_EXAMPLES", "750"))
ROUTINE = "MOONLET_LAWS_EXAMPLES" not in os.environ

STEP_BYTES = 3
FEWEST, MOST = 25, 45
"""Steps of a script."""


def script_of(data: bytes) -> list[int]:
    return [
        int.from_bytes(data[place : place + STEP_BYTES], "big")
        for place in range(0, len(data) - STEP_BYTES + 1, STEP_BYTES)
    ]


# Bytes, not a list of numbers: Hypothesis draws them at once, three times as fast as that, and
# hardly ever the same first step twice, on which it depends what fields a script is about.
scripts = st.binary(min_size=STEP_BYTES * FEWEST, max_size=STEP_BYTES * MOST).map(script_of)
choices = st.integers(0, 2**24 - 1)

laws = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=ROUTINE,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

Law = Callable[[list[int], int], None]


class Ran(NamedTuple):
    """A script, and the world after it."""

    script: list[int]
    world: World


_last: list[Ran] = []


def world_after(script: list[int]) -> World:
    """The world that a script leads to, run once for all laws that are given this very list.

    They leave it as it is, but for the last of `TOGETHER`.
    """
    if not _last or _last[0].script is not script:
        _last[:] = [Ran(script, World().run(script))]
    return _last[0].world


def bytes_of(state: ViewState) -> tuple[bytes, list[int]]:
    return state.canonical(), list(state.vector)


def copy_of(state: ViewState) -> ViewState:
    copy = new_state()
    apply_delta(copy, make_delta(state))
    return copy


def joined(state: ViewState, *others: ViewState) -> ViewState:
    result = copy_of(state)
    for other in others:
        apply_delta(result, make_delta(other))
    return result


def joining_commutes(script: list[int], choice: int) -> None:
    a, b, _ = world_after(script).replicas
    assert bytes_of(joined(a, b)) == bytes_of(joined(b, a))


def joining_is_associative(script: list[int], choice: int) -> None:
    a, b, c = world_after(script).replicas
    assert bytes_of(joined(joined(a, b), c)) == bytes_of(joined(a, joined(b, c)))


def joining_twice_is_joining_once(script: list[int], choice: int) -> None:
    a, b, c = world_after(script).replicas
    once = joined(a, b)
    assert bytes_of(joined(once, b, a, once)) == bytes_of(once)
    # Here the second delta is no duplicate as a whole, only in parts.
    assert bytes_of(joined(once, joined(b, c))) == bytes_of(joined(a, b, c))


def joining_never_loses(script: list[int], choice: int) -> None:
    a, b, _ = world_after(script).replicas
    both = joined(a, b)
    assert both.frontier.covers(a.frontier)
    assert both.frontier.covers(b.frontier)
    assert bytes_of(joined(a, both)) == bytes_of(both)
    assert not apply_delta(both, make_delta(a))


def a_delta_is_as_good_as_the_state(script: list[int], choice: int) -> None:
    world = world_after(script)
    digits = Digits(choice)
    first = digits(REPLICAS)
    x, b, c = (world.replicas[(first + i) % REPLICAS] for i in range(REPLICAS))
    sinces = [world.vectors[digits(len(world.vectors))] for _ in range(4)]
    is_sound(b, x, sinces[0])
    is_sound(b, x, sinces[1])
    # These two have never seen themselves what their states have lost.
    is_sound(copy_of(b), x, sinces[2])
    apply_delta(c, make_delta(b, c.frontier))
    is_sound(c, x, sinces[3])
    is_sound(c, x, x.vector)


def is_sound(giver: ViewState, taker: ViewState, since: list[int]) -> None:
    by_delta = copy_of(taker)
    try:
        apply_delta(by_delta, make_delta(giver, giver.journals.frontier(since)))
    except DeltaGap:
        base = [min(low, high) for low, high in zip(since, giver.vector, strict=True)]
        assert any(mine < low for mine, low in zip(taker.vector, base, strict=True))
        assert bytes_of(by_delta) == bytes_of(taker)
    else:
        assert bytes_of(by_delta) == bytes_of(joined(taker, giver))


def joining_is_as_good_as_folding(script: list[int], choice: int) -> None:
    world = world_after(script)
    a, b, _ = world.replicas
    vector = [max(pair) for pair in zip(a.vector, b.vector, strict=True)]
    by_delta = copy_of(a)
    apply_delta(by_delta, make_delta(b, a.frontier))
    by_fold = copy_of(a)
    for journal, end in enumerate(vector):
        world.feed(by_fold, journal, end - by_fold.vector[journal])
    assert bytes_of(by_delta) == bytes_of(by_fold) == bytes_of(world.folded(vector))


def the_interleaving_does_not_matter(script: list[int], choice: int) -> None:
    world = world_after(script)
    chance = random.Random(choice)
    state = new_state()
    ends = [len(journal) for journal in world.journals]
    while state.vector != ends:
        journal = chance.randrange(len(NAMES))
        back = max(0, state.vector[journal] - chance.randrange(3))
        for commit in world.journals[journal][back : back + 1 + chance.randrange(4)]:
            state.fold(commit, NAMES[journal])
    assert bytes_of(state) == bytes_of(world.folded(ends))


def every_step_shows_what_the_definition_says(script: list[int], choice: int) -> None:
    world = World()

    def sound(replica: int) -> None:
        state = world.replicas[replica]
        assert state.value == world.expected(state.vector)

    world.sound = sound
    world.run(script)


def replicas_converge_after_a_partition(script: list[int], choice: int) -> None:
    world = World().run(script)
    if choice % 2:  # healed by the journals
        world.drain()
    else:  # healed by each other alone, the journals out of reach
        for _ in range(2):
            for giver in range(REPLICAS):
                for taker in range(REPLICAS):
                    world.give(giver, taker)
    first, *others = world.replicas
    assert all(bytes_of(other) == bytes_of(first) for other in others)
    assert {state.digest for state in world.replicas} == {first.digest}
    assert first.value == world.expected(first.vector)
    world.drain()
    assert [state.ahead for state in world.replicas] == [0] * REPLICAS


def reads_never_go_back(script: list[int], choice: int) -> None:
    world = World()
    seen = [state.frontier for state in world.replicas]

    def sound(replica: int) -> None:
        state = world.replicas[replica]
        if state is alive[replica]:  # else it crashed, and clients carry their token elsewhere
            assert state.frontier.covers(seen[replica])
        alive[replica], seen[replica] = state, state.frontier

    alive = list(world.replicas)
    world.sound = sound
    world.run(script)
    reader, other, _ = world.replicas
    token = reader.frontier
    apply_delta(other, make_delta(reader, other.frontier))
    assert other.frontier.covers(token)
    assert other.value == world.expected(other.vector)


def nothing_removed_comes_back(script: list[int], choice: int) -> None:
    world = World().run(script)
    digits = Digits(choice)
    purged = [min(s.vector[j] for s in world.replicas) for j in range(len(NAMES))]
    world.crash(digits)  # to any older snapshot, perhaps below what the journals still hold
    for _ in range(2):
        for index, state in enumerate(world.replicas):
            for journal in range(len(NAMES)):
                if state.vector[journal] >= purged[journal]:
                    world.feed(state, journal, len(world.journals[journal]))
            for giver in range(REPLICAS):
                world.give(giver, index)
    for state in world.replicas:
        assert state.vector == [len(journal) for journal in world.journals]
        assert state.value == world.expected(state.vector)
        assert state.ahead == 0


def bytes_are_a_function_of_the_state(script: list[int], choice: int) -> None:
    world = world_after(script)
    state = world.replicas[choice % REPLICAS]
    snapshot = make_delta(state)
    again = new_state()
    apply_delta(again, snapshot)
    assert bytes_of(again) == bytes_of(state)
    assert make_delta(again) == snapshot
    assert again.digest == state.digest == world.folded(state.vector).digest
    assert again.value == state.value


def stock_is_never_overspent(script: list[int], choice: int) -> None:
    world = World()

    def spend(digits: Digits) -> int:
        """An author writes only what the replica beside it, up to date with its journal, allows."""
        journal = digits(len(NAMES))
        state = world.replicas[journal]
        world.feed(state, journal, len(world.journals[journal]))
        left = int(state.available("budget", NAMES[journal]))
        verb = ("grant", "spend", "spend", "transfer")[digits(4)]
        amount = 1 + digits(9) if verb == "grant" else min(left, 1 + digits(9))
        if amount > 0:
            op = Op(f"budget.{verb}", member=NAMES[digits(len(NAMES))], amount=amount)
            world.record(journal, Recorded((Did([op]),), (0, 0)))
        return journal

    def sound(replica: int) -> None:
        state = world.replicas[replica]
        assert state.value["budget"] >= 0
        assert state.value == world.expected(state.vector)

    world.publish = spend  # type: ignore[method-assign]
    world.sound = sound
    world.run(script)
    world.drain()
    ops = [op for journal in world.recorded for c in journal for e in c.events for op in e.ops]
    granted = sum(op.amount for op in ops if op.verb == "budget.grant")
    spent = sum(op.amount for op in ops if op.verb == "budget.spend")
    assert {state.value["budget"] for state in world.replicas} == {granted - spent}
    assert all(s.available("budget", name) >= 0 for s in world.replicas for name in NAMES)


def every_addition_counts_once(script: list[int], choice: int) -> None:
    world = World()

    def add(digits: Digits) -> None:
        op = Op("total.add", amount=1 + digits(1_000))
        world.record(digits(len(NAMES)), Recorded((Did([op]),), (0, 0)))

    world.publish = add  # type: ignore[method-assign]
    world.run(script)
    world.drain()
    published = sum(op.amount for journal in world.recorded for c in journal for e in c.events
                    for op in e.ops)  # fmt: skip
    assert [state.value["total"] for state in world.replicas] == [published] * REPLICAS


TOGETHER: tuple[Law, ...] = (
    joining_commutes,
    joining_is_associative,
    joining_twice_is_joining_once,
    joining_never_loses,
    joining_is_as_good_as_folding,
    the_interleaving_does_not_matter,
    bytes_are_a_function_of_the_state,
    a_delta_is_as_good_as_the_state,
)
"""Laws that may look at one world, in this order."""

APART: tuple[Law, ...] = (
    every_step_shows_what_the_definition_says,
    replicas_converge_after_a_partition,
    reads_never_go_back,
    nothing_removed_comes_back,
    stock_is_never_overspent,
    every_addition_counts_once,
)
LAWS = TOGETHER + APART


def laws_that_look_at_one_world(script: list[int], choice: int) -> None:
    for law in TOGETHER:
        law(script, choice)


def check(law: Law, limits: settings = laws) -> None:
    """Run one law on generated scripts."""

    def holds(script: list[int], choice: int) -> None:
        law(script, choice)

    limits(given(scripts, choices)(holds))()


@pytest.mark.timeout(0 if not ROUTINE else 120)
@pytest.mark.parametrize(
    "law",
    # A long run takes each world for all of them: two thirds of the time are the world.
    LAWS if ROUTINE else (laws_that_look_at_one_world, *APART),
    ids=lambda law: law.__name__,
)
def test_law(law: Law) -> None:
    check(law)


def test_the_laws_have_at_least_ten_thousand_examples_together() -> None:
    assert len(LAWS) * EXAMPLES >= 10_000


def test_deltas_are_sound_however_little_the_index_remembers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moonlet.projections.view.state.MAX_INDEX", 3)
    few = settings(laws, max_examples=150)
    check(a_delta_is_as_good_as_the_state, few)
    check(nothing_removed_comes_back, few)


def test_two_processes_with_other_hash_seeds_get_equal_bytes() -> None:
    program = (
        "import random; from tests.projections.world import World\n"
        "chance = random.Random(7)\n"
        "for _ in range(20):\n"
        "    world = World().run([chance.getrandbits(80) for _ in range(40)])\n"
        "    print([state.digest for state in world.replicas], world.deltas[-1:])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1

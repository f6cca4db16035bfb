"""What if: unchanged nothing differs, and each edit changes what it must and nothing else."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
    Drop,
    Edit,
    Fork,
    Insert,
    Point,
    Recording,
    Reorder,
    cause_of,
    cohort,
    conversations,
    depends_on,
    fork,
    parse_point,
    read_record,
    resolve,
)
from moonlet.replay.forks.fork_run import ForkRun
from moonlet.replay.forks.recording import Recorded
from tests.console.support import invoke
from tests.replay.shop import TYPES, Charge, Charged
from tests.replay.test_replaying import changed, charged_otherwise

BY_NAME = {made.name: made for made in TYPES}


@pytest.fixture
async def record(shop: BundleSource) -> Recording:
    return await read_record(shop)


def named(record: Recording, agent: str, name: str) -> Any:
    return next(e.commit for e in record.by_agent[agent] if e.commit.command.name == name)


def told(made: Fork) -> dict[str, Any]:
    return {each.agent: each for each in made.agents}


async def test_where_nothing_is_done_otherwise_nothing_comes_out_otherwise(
    record: Recording, shop: BundleSource
) -> None:
    """From the beginning, and from before every commit there is."""
    for each in (None, *record.commits):
        at = None
        if each is not None:
            at = Point(parse_point(each.commit.agent).agent, each.commit.revision)  # type: ignore[arg-type]
        made = fork(record, BY_NAME, at=at)
        assert (made.agents, made.unanswered, made.failed, made.stopped) == ([], [], {}, ""), at
        assert made.states["order/a"]["status"] == "paid"


async def test_a_command_that_never_came(record: Recording) -> None:
    refill = named(record, "stock/tea", "Refill")
    made = fork(record, BY_NAME, [Drop("stock/tea", refill.command.id)])
    assert {key: made.states[f"order/{key}"]["status"] for key in "abc"} == {
        "a": "sold out", "b": "sold out", "c": "sold out",
    }  # fmt: skip
    found = told(made)
    assert found["stock/tea"].gone[0] == refill.command.id
    first = found["order/a"].first
    assert first is not None and first.command.name == "SoldOut"
    assert "order/b" not in found, "it was sold out anyway"


async def test_a_command_that_said_something_else(record: Recording) -> None:
    place = named(record, "order/b", "Place")
    body = {"item": "tea", "count": 1, "card": "red"}
    made = fork(record, BY_NAME, [Edit("order/b", place.command.id, body)])
    assert made.states["order/b"]["status"] == "overdue"
    assert made.unanswered == ["order/b@2 Charge"], "the record has no such call"
    assert sorted(told(made)) == ["order/b", "stock/tea"]

    def bank(call: Charge) -> Charged | None:
        if call.card == "red":
            return Charged(f"forged-{call.amount}")
        raise AssertionError("what is in the record is answered from it")

    answered = fork(record, BY_NAME, [Edit("order/b", place.command.id, body)], answer=bank)
    assert answered.states["order/b"]["receipt"] == "forged-10"
    assert answered.states["order/a"]["receipt"] == "receipt-20" and not answered.unanswered

    def broke(call: Charge) -> Charged:
        raise OSError("the line is dead")

    failed = fork(record, BY_NAME, [Edit("order/b", place.command.id, body)], answer=broke)
    assert failed.states["order/b"]["status"] == "overdue"


async def test_a_call_of_the_same_content_is_answered_as_it_was(record: Recording) -> None:
    place = named(record, "order/b", "Place")
    body = {"item": "tea", "count": 2, "card": "blue"}
    made = fork(record, BY_NAME, [Edit("order/b", place.command.id, body)])
    assert made.states["order/b"]["receipt"] == "receipt-20" and not made.unanswered


async def test_a_command_that_was_put_in_and_one_that_came_earlier(record: Recording) -> None:
    place = named(record, "order/b", "Place")
    more = Insert("stock/tea", "Refill", {"count": 10}, place.wall_us - 1)
    made = fork(record, BY_NAME, [more])
    assert made.states["stock/tea"]["free"] == 8
    assert made.states["order/b"]["status"] == "overdue", "and nobody answers for its card"
    assert told(made)["stock/tea"].new[0] == "fork-1"
    first = named(record, "order/a", "Place")
    swapped = fork(
        record, BY_NAME, [Reorder("order/b", place.command.id, "order/a", first.command.id)]
    )
    places = [commit.agent for commit in swapped.commits if commit.command.name == "Place"]
    assert places[:2] == ["order/b", "order/a"]


async def test_other_code_from_a_point_on(record: Recording, shop: BundleSource) -> None:
    other = {**BY_NAME, "order": changed("Charged", charged_otherwise)}
    made = fork(record, other)
    assert made.states["order/a"]["status"] == "paid twice"
    later = fork(record, other, at=await resolve(shop, "order/a@4"))
    assert later.states["order/a"]["status"] == "paid", "what was before it is as it was"
    half = fork(record, {"stock": BY_NAME["stock"]})
    assert half.codeless == ["order"]


async def test_what_can_t_be_forked_is_told(record: Recording, shop: BundleSource) -> None:
    with pytest.raises(Invalid, match="has no command 'nobody' to order/a"):
        fork(record, BY_NAME, [Drop("order/a", "nobody")])
    place = named(record, "order/a", "Place")
    with pytest.raises(Invalid, match="fork earlier"):
        drop = Drop("order/a", place.command.id)
        fork(record, BY_NAME, [drop], at=await resolve(shop, "order/c@1"))


async def test_what_an_outcome_depended_on(record: Recording, shop: BundleSource) -> None:
    paid = await resolve(shop, "order/a@3")
    found = depends_on(record, BY_NAME, paid)
    refill, place = named(record, "stock/tea", "Refill"), named(record, "order/a", "Place")
    assert sorted(found.needed) == [f"order/a@{place.revision}", f"stock/tea@{refill.revision}"]
    assert (found.together, found.undecided) == ([], 0)
    few = depends_on(record, BY_NAME, paid, runs=1)
    assert few.tried == 1 and few.undecided > 0
    with pytest.raises(Invalid, match="comes out otherwise with today's code"):
        depends_on(record, {**BY_NAME, "order": changed("Charged", charged_otherwise)}, paid)


def recorded(*inserts: Insert) -> Recording:
    """What these commands would have led to, as if it had been recorded."""
    run = ForkRun(Recording("made", [], {}, {}), BY_NAME, 0, inserts, None)
    run.run()
    commits = [Recorded(c, encoding, "made", cause_of(c)) for c, encoding in run.made]
    by_agent: dict[str, list[Recorded]] = {}
    for each in commits:
        by_agent.setdefault(each.commit.agent, []).append(each)
    return Recording("made", commits, by_agent, {each.name: each for each in commits})


def test_two_causes_of_which_either_suffices_hide_each_other_and_are_found_together() -> None:
    """There was pen enough for the order by either of two refills; a third thing had no part."""
    made = recorded(
        Insert("stock/pen", "Refill", {"count": 5}, 1_000_000),
        Insert("stock/pen", "Refill", {"count": 5}, 2_000_000),
        Insert("stock/ink", "Refill", {"count": 5}, 3_000_000),
        Insert("order/d", "Place", {"item": "pen", "count": 2, "card": "blue"}, 4_000_000),
    )
    outcome = named(made, "order/d", "Reserved")
    point = Point(AgentId("order", "d"), outcome.revision)
    found = depends_on(made, BY_NAME, point)
    assert found.needed == ["order/d@1"]
    assert [set(pair) for pair in found.together] == [{"stock/pen@1", "stock/pen@2"}]
    assert found.undecided == 0
    few = depends_on(made, BY_NAME, point, runs=5)
    assert few.undecided > 0 and few.tried == 5


def test_three_causes_of_which_any_suffices_are_found_together() -> None:
    """And what the record has under another id is not the outcome, though it is alike."""
    refills = [Insert("stock/pen", "Refill", {"count": 5}, n * 1_000_000) for n in (1, 2, 3)]
    place = Insert("order/d", "Place", {"item": "pen", "count": 2, "card": "blue"}, 4_000_000)
    made = recorded(*refills, place)
    point = Point(AgentId("order", "d"), named(made, "order/d", "Reserved").revision)
    found = depends_on(made, BY_NAME, point)
    assert found.needed == ["order/d@1"]
    assert [set(each) for each in found.together] == [{"stock/pen@1", "stock/pen@2", "stock/pen@3"}]
    assert found.undecided == 0
    for runs in range(found.tried):
        assert depends_on(made, BY_NAME, point, runs=runs).undecided > 0
    alike = depends_on(made, BY_NAME, Point(AgentId("stock", "pen"), 1))
    assert alike.needed == ["stock/pen@1"]


def test_two_sets_that_share_a_command_are_both_found() -> None:
    """Each of two refills of five suffices for six only with the one of two before them."""
    counts = (2, 4, 4)
    refills = [
        Insert("stock/pen", "Refill", {"count": count}, n * 1_000_000)
        for n, count in enumerate(counts, 1)
    ]
    place = Insert("order/d", "Place", {"item": "pen", "count": 6, "card": "blue"}, 5_000_000)
    made = recorded(*refills, place)
    point = Point(AgentId("order", "d"), named(made, "order/d", "Reserved").revision)
    found = depends_on(made, BY_NAME, point)
    assert found.needed == ["order/d@1"] and found.undecided == 0
    assert {frozenset(each) for each in found.together} == {
        frozenset(pair)
        for pair in (
            ("stock/pen@1", "stock/pen@2"),
            ("stock/pen@1", "stock/pen@3"),
            ("stock/pen@2", "stock/pen@3"),
        )
    }


async def test_a_cohort_is_compared_conversation_by_conversation(record: Recording) -> None:
    places = conversations(record, "order/*", "Place")[:3]
    assert places == [named(record, f"order/{key}", "Place").command.id for key in "abc"]
    same = cohort(record, BY_NAME, [*places, places[0]])
    assert not any(each.differs for each in same.conversations)
    first = same.conversations[0]
    assert (len(same.conversations), first.began, first.length) == (3, "order/a@1", (5, 5))
    other = {**BY_NAME, "order": changed("Charged", charged_otherwise)}
    found = cohort(record, other, places).conversations
    assert [each.differs for each in found] == [True, False, True], "c met another stock"
    measured = cohort(record, other, places, measure=lambda commits: commits[-2].events)
    assert [each.measure[0] == each.measure[1] for each in measured.conversations] == [
        False, True, True,
    ]  # fmt: skip
    with pytest.raises(Invalid, match="has no conversation"):
        cohort(record, BY_NAME, ["nobody"])
    with pytest.raises(Invalid, match=r"the measure of conversation .* failed: ZeroDiv.*forks.py:"):
        cohort(record, BY_NAME, places, measure=lambda commits: 1 / 0)
    with pytest.raises(Invalid, match="returns plain data"):
        cohort(record, BY_NAME, places, measure=lambda commits: object())


async def test_another_call_function_answers_the_calls_of_a_cohort_and_of_nobody_else(
    record: Recording,
) -> None:
    a, _, c = conversations(record, "order/*", "Place")[:3]
    asked: list[str] = []

    async def bank(call: Charge) -> Charged | None:
        asked.append(call.card)
        return Charged("free") if call.card == "stolen" else None

    made = cohort(record, BY_NAME, [c], answer=bank, measure=lambda commits: len(commits))
    assert asked == ["stolen"]
    assert [(each.differs, each.length) for each in made.conversations] == [(True, (5, 5))]
    both = cohort(record, BY_NAME, [a, c], answer=bank)
    assert asked[1:] == ["blue", "stolen"] and not both.unanswered
    assert [each.differs for each in both.conversations] == [False, True], "None: as recorded"
    with pytest.raises(Invalid, match="answered with a str, and agent type order has no handler"):
        cohort(record, BY_NAME, [a], answer=lambda call: "fine")


async def test_what_agents_that_are_not_here_sent_comes_as_it_came(record: Recording) -> None:
    """Of a bundle of the orders alone, or without the code of the stock."""
    made = fork(record, {"order": BY_NAME["order"]})
    assert [(each.agent, each.gone) for each in made.agents] == []
    assert made.states["order/a"]["status"] == "paid" and made.codeless == ["stock"]


def test_a_fork_of_many_agents_takes_no_longer_for_each() -> None:
    """It took 14 s for 5,000."""
    made = recorded(*(Insert(f"stock/s{n}", "Refill", {"count": 1}, n) for n in range(1, 6_001)))
    began = time.perf_counter()
    assert fork(made, BY_NAME).agents == []
    alone = time.perf_counter() - began
    few = recorded(*(Insert("stock/s", "Refill", {"count": 1}, n) for n in range(1, 6_001)))
    began = time.perf_counter()
    assert fork(few, BY_NAME).agents == []
    assert alone < 5 * (time.perf_counter() - began) + 0.5, alone


DIGESTS = """
import asyncio, sys
from pathlib import Path
from random import Random
from moonlet.core.digest import record_digest
from moonlet.replay import BundleSource, Drop, fork, read_record
from moonlet.simulations.bundle import read_bundle
from tests.replay.shop import TYPES
record = asyncio.run(read_record(BundleSource(read_bundle(Path(sys.argv[1]))[0], "day")))
types = {made.name: made for made in TYPES}
for seed in range(300):
    dice = Random(seed)
    dropped = dice.sample(record.commits, dice.randrange(1, 4))
    print(fork(record, types, [Drop(e.commit.agent, e.commit.command.id) for e in dropped]).digest)
"""


def test_300_forks_have_equal_digests_in_processes_with_other_hash_seeds(shop_file: Path) -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", DIGESTS, str(shop_file)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1] and len(set(printed[0].split())) > 20
    assert hashlib.sha256(printed[0].encode()).hexdigest()


def test_the_command_tells_what_differs_and_that_it_is_not_real(shop_file: Path) -> None:
    rest = ("--bundle", str(shop_file), "--module", "tests.replay.shop")
    ended = invoke("fork", "--drop", "stock/tea@1", *rest)
    assert ended.code == 0 and "none of this happened" in ended.out
    assert "order/a" in ended.out and "sold out" in ended.out
    (made,) = invoke("fork", "--edit", "order/b@1 count=1", *rest, "--json").records
    assert made["real"] is False and made["unanswered"] == ["order/b@2 Charge"]
    answered = invoke(
        "fork",
        "--edit",
        "order/b@1 count=1",
        "--answer",
        "tests.replay.shop:answer",
        *rest,
        "--json",
    ).records[0]
    assert answered["unanswered"] == []
    (nothing,) = invoke("fork", *rest, "--json").records
    assert nothing["agents"] == []
    inserted = invoke(
        "fork", "--at", "order/b@1", "--insert", 'stock/tea Refill {"count": 9}', *rest
    )
    assert inserted.code == 0 and "order/b" in inserted.out
    moved = invoke("fork", "--move", "order/b@1 order/a@1", *rest)
    assert moved.code == 0 and "order/a" in moved.out
    tested = invoke("why", "order/a@3", "--test", *rest)
    assert "order/a@3 needed stock/tea@1" in tested.out
    for arguments, said in (
        (("--edit", "order/b@1 count"), "write it like"),
        (("--edit", "order/b@1 nothing=1"), "the command has no nothing; there is: item, count"),
        (("--edit", "order/b@1 card=blue"), "a text needs quotes"),
        (("--insert", "stock/tea Refill {}"), "say when with --at"),
        (("--at", "order/b@1", "--insert", "stock/tea"), "write it like"),
        (("--drop", "order/b@77"), "has no revision 77"),
        (("--move", "order/b@1"), "write two points"),
        (("--answer", "tests.replay.shop:nothing"), "has no function 'nothing'"),
        (("--answer", "no.such.module:x"), "there is no module 'no.such.module'"),
    ):
        refused = invoke("fork", *arguments, *rest)
        assert refused.code == 2 and said in refused.err, (arguments, refused.err)


def test_the_command_compares_conversations(shop_file: Path, tmp_path: Path) -> None:
    rest = ("--bundle", str(shop_file), "--module", "tests.replay.shop")
    ended = invoke("cohort", *rest)
    assert ended.code == 0 and "6 conversations, all come out as they did" in ended.out
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from tests.replay.shop import Charged\n"
        "def bank(call): return Charged(f'mine-{call.amount}')\n"
        "def receipt(commits):\n"
        "    said = [event.body for commit in commits for event in commit.events]\n"
        "    return [body['receipt'] for body in said if body.get('receipt')]\n"
        "def two(call, other): pass\n"
    )
    ours = ("--answer", f"{mine}:bank", "--measure", f"{mine}:receipt")
    told = invoke("cohort", "order/a@3", "order/c@1", *ours, *rest)
    assert "2 conversations, 2 would have come out otherwise; none of this happened" in told.out
    assert '["receipt-20"] → ["mine-20"]' in told.out and '[] → ["mine-10"]' in told.out
    (made,) = invoke("cohort", "--command", "Place", "--most", "2", *ours, *rest, "--json").records
    assert [each["began"] for each in made["conversations"]] == ["order/c@1", "order/a@4"]
    assert [each["differs"] for each in made["conversations"]] == [True, False]
    assert made["real"] is False and made["unanswered"] == []
    for arguments, said in (
        (("--agents", "nobody/*"), "began with nobody/*: `moonlet trace POINT`"),
        (("order/a@1", "--command", "Place"), "name points, or choose"),
        (("--answer", f"{mine}:two"), "two(call, other) must take one argument"),
        (("--measure", "two"), "write MODULE:FUNCTION"),
        (("--measure", f"{tmp_path}/none.py:two"), "there is no file"),
        (("--measure", f"{mine}:bank"), "the measure of conversation"),
        (("order/a@77",), "has no revision 77"),
    ):
        refused = invoke("cohort", *arguments, *rest)
        assert refused.code == 2 and said in refused.err, (arguments, refused.err)

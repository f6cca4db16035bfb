"""Histories against code: equal is proof, else the first difference with both sides."""

import copy
import itertools
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType, Decision
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, assert_replays, replay_agent, replay_all
from tests.console.support import COMMAND, invoke
from tests.replay.shop import TYPES, Charged, Moved, Order, order, stock

A = AgentId("order", "a")


def changed(name: str, function: Any) -> AgentType[Order]:
    """The orders' code, one handler of it another's."""
    made = copy.copy(order)
    made.behavior = copy.copy(order.behavior)
    handler = order.behavior.commands[name]
    made.behavior.commands = {
        **order.behavior.commands,
        name: msgspec.structs.replace(handler, function=function),
    }
    return made


def charged_otherwise(state: Order, command: Charged) -> Decision:
    yield Moved("paid twice", command.receipt)


def charged_steadily(state: Order, command: Charged) -> Decision:
    yield Moved(f"paid {next(NUMBERS)}", command.receipt)


NUMBERS = itertools.count()


async def test_the_code_that_decided_decides_the_same(shop: BundleSource) -> None:
    replayed = await replay_all(shop, {made.name: made for made in TYPES})
    assert [each.agent for each in replayed] == ["order/a", "order/b", "order/c", "stock/tea"]
    assert all(each.divergent is None and each.commits == each.decided for each in replayed)
    alone = await replay_agent(shop, order, A)
    assert alone == replayed[0]


async def test_the_first_difference_is_told_with_both_sides_and_the_handler(
    shop: BundleSource,
) -> None:
    replayed = await replay_agent(shop, changed("Charged", charged_otherwise), A)
    found = replayed.divergent
    assert found is not None and (found.revision, found.kind) == (3, "decision")
    assert found.recorded["events"][0]["body"]["status"] == "paid"
    assert found.decided["events"][0]["body"]["status"] == "paid twice"
    assert "$.events[0].body.status" in [change.path for change in found.changes]
    line = charged_otherwise.__code__.co_firstlineno
    assert found.handler.endswith(f"test_replaying.py:{line} charged_otherwise")
    assert replayed.commits == 4 and replayed.decided == 2


async def test_a_handler_that_gives_two_answers_is_named_with_the_field(shop: BundleSource) -> None:
    found = (await replay_agent(shop, changed("Charged", charged_steadily), A)).divergent
    assert found is not None and found.kind == "two answers"
    assert "two answers for one input: ~ $.events[0].body.status" in found.message


async def test_a_command_that_is_gone_and_a_record_that_was_changed(shop: BundleSource) -> None:
    without = changed("Charged", charged_otherwise)
    del without.behavior.commands["Charged"]
    found = (await replay_agent(shop, without, A)).divergent
    assert found is not None and "no command 'Charged' any more" in found.message
    bundle = shop._bundle
    streams = []
    for held in bundle.streams:
        messages = [
            msgspec.structs.replace(message, data=message.data.replace(b'"blue"', b'"pink"'))
            for message in held.messages
        ]
        streams.append(msgspec.structs.replace(held, messages=messages))
    tampered = BundleSource(msgspec.structs.replace(bundle, streams=streams), "tampered")
    replayed = await replay_all(tampered, {made.name: made for made in TYPES})
    by_agent = {each.agent: each.divergent for each in replayed}
    told = by_agent["order/a"]
    assert told is not None and told.kind == "history" and "its bytes changed" in told.message
    assert by_agent["order/b"] is None, "the rest stays usable"


def test_a_golden_history_is_one_line_of_a_test(shop_file: Path, shop: BundleSource) -> None:
    assert assert_replays(shop_file, *TYPES) == assert_replays(shop, *TYPES) > 10
    with pytest.raises(AssertionError, match=r"order/a@3 Charged: event 1 differs"):
        assert_replays(shop_file, changed("Charged", charged_otherwise), stock)
    other: AgentType[int] = AgentType("other", int)
    with pytest.raises(AssertionError, match=r"day\.moonlet holds no command that other decided"):
        assert_replays(shop_file, *TYPES, other)
    with pytest.raises(AssertionError, match="no agent type decided"):
        assert_replays(shop_file)


async def test_a_golden_history_may_be_asserted_in_a_running_loop(shop_file: Path) -> None:
    assert assert_replays(shop_file, *TYPES) > 10


def test_the_command_ends_with_one_where_code_decides_otherwise(
    shop_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path("tests/replay/shop.py").read_text()
    monkeypatch.chdir(tmp_path)
    Path("other_shop.py").write_text(source.replace('Moved("reserved")', 'Moved("kept")'))
    bundle = ("--bundle", str(shop_file))
    same = invoke("replay", "--all", *bundle, "--module", "tests.replay.shop", "--json")
    assert same.code == 0 and same.records[-1]["parted"] == 0
    ended = invoke("replay", "--all", *bundle, "--module", "other_shop.py")
    assert ended.code == 1
    assert "order/a@2 Reserved: event 1 differs at $.status" in ended.out
    assert '~ $.events[0].body.status "reserved" → "kept"' in ended.out
    assert "other_shop.py:" in ended.out and "2 agents part" in ended.out
    for arguments, said in (
        ((), "name one agent, or all of them with --all"),
        (("order/a", "--all"), "name one agent, or all of them with --all"),
        (("order/nobody",), "order/nobody has no commits"),
        (("nosuch/a",), "the code of agent type nosuch is not known here"),
    ):
        refused = invoke("replay", *arguments, *bundle, "--module", "tests.replay.shop")
        assert refused.code == 2 and said in refused.err


def test_with_watch_it_is_done_again_when_a_file_changes(shop_file: Path, tmp_path: Path) -> None:
    code = tmp_path / "watched_shop.py"
    source = Path("tests/replay/shop.py").read_text()
    code.write_text(source)
    process = subprocess.Popen(
        [*COMMAND, "replay", "order/a", "--watch", "--bundle", str(shop_file),
         "--module", str(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert "all as they were" in process.stdout.readline()
        began = time.monotonic()
        code.write_text(source.replace('Moved("reserved")', 'Moved("kept")'))
        assert "order/a@2 Reserved: event 1 differs" in process.stdout.readline()
        assert time.monotonic() - began < 10
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130

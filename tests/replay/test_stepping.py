"""Steps through a history, forward and back, and a debugger in a handler during replay."""

import json
import subprocess
from pathlib import Path

import pytest

from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, Condition, Timeline
from moonlet.replay.stepping import Stepper
from tests.console.support import COMMAND
from tests.replay.shop import order


@pytest.fixture
async def stepper(shop: BundleSource) -> Stepper:
    return await Stepper.at(await Timeline.open(shop, order, AgentId("order", "a")))


async def test_each_step_is_where_it_says(stepper: Stepper) -> None:
    assert (stepper.revision, await stepper.commit(), await stepper.back()) == (0, None, None)
    assert [await stepper.forward() for _ in range(5)] == [1, 2, 3, 4, None]
    assert stepper.revision == 4 and await stepper.changed() == []
    assert [await stepper.back() for _ in range(2)] == [3, 2]
    assert "$.status" in [change.path for change in await stepper.changed()]
    assert await stepper.to(1) == 1 and stepper.here.state.status == "placed"
    with pytest.raises(Invalid, match="has no revision 9"):
        await stepper.to(9)
    assert stepper.revision == 1


async def test_to_the_next_change_of_a_path_and_back(stepper: Stepper) -> None:
    assert await stepper.to_change("status") == 1 and await stepper.to_change("receipt") == 3
    assert await stepper.to_change("status") is None and stepper.revision == 3
    assert await stepper.to_change("status", back=True) == 2
    assert await stepper.to_change("status", back=True) == 1
    assert await stepper.to_change("status", back=True) is None
    assert await stepper.to_change("steps[1]") == 3
    assert await stepper.to_change("nothing") is None


async def test_to_the_next_event_command_or_condition(stepper: Stepper) -> None:
    assert await stepper.to_break(["Charged"]) == 3 and await stepper.to_break(["Charged"]) is None
    assert await stepper.to_break(["Placed"], back=True) == 1
    assert await stepper.to_break(condition=Condition("state.status == 'reserved'")) == 2
    assert await stepper.to_break(condition=Condition("outcome == 'rejected'")) == 4
    assert await stepper.to_break() is None


def stepped(shop_file: Path, typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    rest = ("--bundle", str(shop_file), "--module", "tests.replay.shop")
    return subprocess.run(
        [*COMMAND, "step", "order/a", *arguments, *rest],
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_takes_lines(shop_file: Path) -> None:
    typed = "n\nw receipt\nb\ns status\ny\ng 9\ns nothing\nwhat\nb\nb\nb\nq\n"
    done = stepped(shop_file, typed)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert '"reserved"' in done.stdout and "from stock/tea@2" in done.stdout
    for said in ("has no revision 9", "there is no nothing", "n next", "no further stop"):
        assert said in done.stderr, said
    assert done.stdout.splitlines()[-1] == "order/a@0  before the first commit"
    stop = stepped(shop_file, "c\n", "--where", "state.status == 'paid'", "--json")
    records = [json.loads(line) for line in stop.stdout.splitlines()]
    assert [record["revision"] for record in records] == [3, 4]


def test_a_breakpoint_in_a_handler_stops_with_the_recorded_state(
    shop_file: Path, tmp_path: Path
) -> None:
    source = Path("tests/replay/shop.py").read_text()
    marked = source.replace(
        "def reserved(state: Order, command: Reserved) -> Decision:\n",
        "def reserved(state: Order, command: Reserved) -> Decision:\n    breakpoint()\n",
    )
    (tmp_path / "marked.py").write_text(marked)
    done = subprocess.run(
        [*COMMAND, "replay", "order/a", "--bundle", str(shop_file), "--module",
         str(tmp_path / "marked.py")],
        input="p state.status, command\nc\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    assert "('placed', Reserved(item='tea', count=2))" in done.stdout, done.stdout + done.stderr
    assert "all as they were" in done.stdout

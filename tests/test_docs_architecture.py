"""docs/architecture.md: its map is the tree's, and its walks are what happens."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import drawing, room_map, tree, walks
from tests.tools.calls import Call

PAGE = tree.read(room_map.PAGE)
WALKS = {
    "A command": walks.of_a_command,
    "An event into a view": walks.of_an_event,
    "A packet in a world": walks.of_a_packet,
}
WORDS = (
    "agent type", "agent", "command", "query", "event", "commit", "revision", "effect", "lane",
    "mailbox", "journal", "snapshot", "host", "manager", "partition", "owner", "lease", "frontier",
    "sender window", "view", "replica", "upcaster", "parked", "bundle",
)  # fmt: skip


def section(title: str) -> str:
    """The page's text under a heading, up to the next one."""
    return PAGE.partition(f"# {title}\n")[2].partition("\n#")[0]


def steps(text: str) -> list[Call]:
    """The numbered steps of a walk, as (module, function)."""
    found = re.findall(r"^\d+\. `([\w/]+)\.py::(\w+)`", text, re.MULTILINE)
    return [(".".join(Path(path).parts[1:]), name) for path, name in found]


def first_missing(walk: list[Call], calls: list[Call]) -> Call | None:
    """The first step that isn't among the calls behind the one of the step before."""
    called = iter((module, name.rpartition(".")[2]) for module, name in calls)
    return next((step for step in walk if step not in called), None)


def test_the_map_is_that_of_the_tree() -> None:
    message = "packages have moved: python -m tests.tools.room_map draws the map anew"
    assert room_map.drawn(PAGE) == PAGE, message


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_is_what_happens(title: str) -> None:
    walk = steps(section(title))
    assert len(walk) > 8
    call: Callable[[], list[Call]] = WALKS[title]
    calls = call()
    missing = first_missing(walk, calls)
    assert missing is None, f"{missing} is not called after the step before it"


def test_every_word_of_the_design_has_a_file() -> None:
    rows = re.findall(
        r"^\| ([\w ]+) \| .* \| `[\w/]+\.py::\w+` \|$", section("Words"), re.MULTILINE
    )
    assert set(WORDS) <= set(rows)
    assert len(rows) == len(set(rows))


def test_a_step_in_the_wrong_place_would_be_seen() -> None:
    walk = steps("1. `core/moonlet/core/fold.py::advance` x\n2. `a/moonlet/b.py::c` y\n")
    assert walk == [("moonlet.core.fold", "advance"), ("moonlet.b", "c")]
    calls = [("moonlet.core.fold", "Fold.advance"), ("moonlet.b", "B.c")]
    assert first_missing(walk, calls) is None
    assert first_missing(walk, calls[::-1]) == ("moonlet.b", "c")


def test_arrows_that_follow_from_others_are_left_out_of_the_picture() -> None:
    arrows = {"a": {"b", "c"}, "b": {"c"}, "c": set[str](), "d": {"c"}}
    reduced = room_map.without_what_follows(arrows)
    assert reduced == {"a": ["b"], "b": ["c"], "c": [], "d": ["c"]}


def test_a_flowchart_is_drawn_in_rows() -> None:
    drawn = drawing.svg("flowchart TB\n  a --> b & c\n  b\n  subgraph c\n    c_d[d] --> c_e\n  end")
    assert [drawn.count(f"<{tag}") for tag in ("svg", "rect", "line")] == [2, 5, 3]
    rows = re.findall(r'<text x="(\d+)" y="(\d+)"[^>]*>(\w+)', drawn.partition("</svg>")[0])
    assert rows == [("380", "39", "a"), ("190", "111", "b"), ("570", "111", "c")]
    with pytest.raises(AssertionError, match="circle"):
        drawing.svg("flowchart TB\n  a --> b\n  b --> a")

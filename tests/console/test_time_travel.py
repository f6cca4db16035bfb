"""The commands that travel in time, on a bundle of the shop's day and on bad input."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.console.support import invoke
from tests.replay.conftest import shop_file as _shop_file

shop_file = _shop_file
CODE = ("--module", "tests.replay.shop")


@pytest.fixture
def told(shop_file: Path) -> Any:
    """Runs a command on the shop's day; gives its records, or its text."""

    def run(*arguments: str, code: int = 0, text: bool = False) -> Any:
        with_code = CODE if arguments[0] in WITH_CODE else ()
        bundle = () if arguments[0] == "compare" else ("--bundle", str(shop_file))
        ended = invoke(*arguments, *with_code, *bundle, *(() if text else ("--json",)))
        assert ended.code == code, (arguments, ended.out, ended.err)
        if code > 1:
            return json.loads(ended.err)["message"]
        return ended.out if text else [json.loads(line) for line in ended.out.splitlines()]

    return run


WITH_CODE = ("state", "diff", "blame", "bisect")


def test_states_of_points_and_of_all_agents_of_a_type(told: Any) -> None:
    (record,) = told("state", "order/a@2")
    assert record["revision"] == 2 and record["state"]["status"] == "reserved"
    assert told("state", "order/a", "--revision", "2") == [record]
    assert told("state", f"shop-journal-orders:{record['sequence']}") == [record]
    assert told("state", "order/a", "--time", record["time"]) == [record]
    everyone = told("state", "order/*")
    assert [each["state"]["status"] for each in everyone] == ["paid", "sold out", "overdue"]
    assert told("state", "order/*", "--time", "1971-01-01") == []
    assert "order/a@4  {" in told("state", "order/*", text=True)
    (first,) = told("state", "order/a@0")
    assert first["time"] is None and first["state"]["status"] == "new"


def test_a_history_shows_what_changed_and_from_where_each_command_came(told: Any) -> None:
    commits = told("history", "order/a", "--diff", *CODE)
    assert [commit["revision"] for commit in commits] == [1, 2, 3, 4]
    assert commits[1]["cause"] == {"kind": "send", "agent": "stock/tea", "revision": 2}
    assert {"path": "$.status", "kind": "changed", "old": "placed", "new": "reserved"} in commits[
        1
    ]["changes"]
    assert commits[3]["changes"] == []
    paid = told("history", "order/a", "--field", "receipt", *CODE)
    assert [commit["revision"] for commit in paid] == [3]
    text = told("history", "order/a", "--diff", "--from", "2", "--to", "2", *CODE, text=True)
    assert '        state  ~ $.status "placed" → "reserved"' in text.splitlines()
    assert "never had nothing" in told("history", "order/a", "--field", "nothing", *CODE, code=2)


def test_differences_of_points(told: Any) -> None:
    (one,) = told("diff", "order/a@2")
    (two,) = told("diff", "order/a@1", "order/a@2")
    assert one == two and one["from"] == "order/a@1"
    (others,) = told("diff", "order/a", "order/b")
    assert "$.status" in [change["path"] for change in others["changes"]]
    (patched,) = told("diff", "order/a@1", "order/a@2", "--patch")
    assert {"op": "replace", "path": "/status", "value": "reserved"} in patched["patch"]
    assert told("diff", "order/a@3", "order/a@3", text=True).strip().endswith("hold the same")
    assert "before the first commit" in told("diff", "order/a@0", code=2)


def test_blame_and_bisect(told: Any) -> None:
    (status,) = told("blame", "order/a", "status")
    assert (status["value"], status["revision"], status["command"]["name"]) == (
        "paid",
        3,
        "Charged",
    )
    assert status["cause"] == "order/a@2"
    assert "the result of a call by order/a@2" in told("blame", "order/a", "status", text=True)
    (found,) = told("bisect", "stock/tea", "--where", "state.held > 0")
    assert found["revision"] == 2 and found["monotone"] is False
    (none,) = told("bisect", "stock/tea", "--where", "state.free > 99", code=1)
    assert none["revision"] is None
    assert "can't be judged" in told("bisect", "stock/tea", "--where", "open('x')", code=2)


def test_why_what_followed_and_the_whole_conversation(told: Any, tmp_path: Path) -> None:
    (deliver,) = told("bisect", "stock/tea", "--where", "command.name == 'Deliver'")
    point = f"stock/tea@{deliver['revision']}"
    (why,) = told("why", point)
    assert [step["name"] for step in why["why"]] == [
        "Deliver", "Charged", "Reserved", "Reserve", "Place",
    ]  # fmt: skip
    text = told("why", point, text=True)
    assert "  sent by order/a@3, " in text and "from outside, by c-" in text
    root = why["why"][-1]["commit"]
    (tree,) = told("effects", root)
    assert [each["name"] for each in tree["following"]] == ["Reserve", "Overdue"]
    assert "└─ timer" in told("effects", "order/c@1", text=True)
    (trace,) = told("trace", point)
    assert [commit["name"] for commit in trace["commits"]] == [
        "Place", "Reserve", "Reserved", "Charged", "Deliver",
    ]  # fmt: skip
    assert told("trace", trace["correlation"]) == [trace]
    assert "critical path" in told("trace", point, text=True)
    assert told("trace", point, "--mermaid", text=True).startswith("flowchart LR")
    told("trace", point, "--svg", str(tmp_path / "x.svg"), "--chrome", str(tmp_path / "x.json"))
    assert (tmp_path / "x.svg").read_text().startswith("<svg")
    assert json.loads((tmp_path / "x.json").read_text())["traceEvents"]
    assert "No such file" in told("why", point, "--svg", "/nowhere/x.svg", code=2)
    assert "no commit" in told("trace", "nobody", code=2)


def test_runs_are_compared_and_cuts_printed(told: Any, shop_file: Path) -> None:
    (same,) = told("compare", str(shop_file), str(shop_file))
    assert same == {"agents": 4, "parted": 0}
    assert "there is no such file" in told("compare", "nowhere", str(shop_file), code=2)
    (cut,) = told("cut", "--time", "-0s")
    assert sorted(cut["frontier"]) == ["shop-journal-goods", "shop-journal-orders"]
    assert "say when" in told("cut", code=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("state", "order/nobody@3"), "has no revision 3: it has no commits"),
        (("state", "order/a@99"), "has no revision 99: its last is 4"),
        (("state", "order/a@noon"), "behind the @ stands"),
        (("state", "order/a", "--revision", "1", "--time", "08:45"), "not both"),
        (("state", "order/a@1", "--revision", "1"), "give an agent alone"),
        (("state", "nosuch/a"), "the code of agent type nosuch is not known here"),
        (("state", "nosuch/*"), "the code of agent type nosuch is not known here"),
        (("blame", "order/a", "a..b"), "is no path in a state"),
        (("blame", "order/a", "nothing"), "never had one"),
        (("why", "order/a@0"), "is no commit"),
        (("why", "two words"), "is no point"),
        (("history", "order/a", "--follow"), "--follow waits for commits of a server"),
    ],
)
def test_bad_input_is_one_clear_sentence(told: Any, arguments: tuple[str, ...], said: str) -> None:
    assert said in told(*arguments, code=2)


def test_a_file_that_is_no_bundle_is_refused(shop_file: Path, tmp_path: Path) -> None:
    whole = shop_file.read_bytes()
    for name, data, code in (
        ("none", b"", 2),
        ("text", b"hello\n", 2),
        ("cut", whole[:-20], 65),
        ("changed", whole[:-1] + bytes([whole[-1] ^ 1]), 65),
        ("newer", whole.replace(b"moonlet bundle 1 ", b"moonlet bundle 9 ", 1), 2),
    ):
        (tmp_path / name).write_bytes(data)
        ended = invoke("why", "order/a@1", "--bundle", str(tmp_path / name))
        assert ended.code == code and len(ended.err.strip().splitlines()) == 1, (name, ended.err)
    ended = invoke("why", "order/a@1", "--bundle", str(tmp_path / "absent"))
    assert ended.code == 2
    ended = invoke("why", "order/a@1", "--bundle", str(shop_file), "--url", "nats://x")
    assert ended.code == 2 and "leave --url and --context out" in ended.err

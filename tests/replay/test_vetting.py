"""`vet` names each impure line of a bad module with its kind, and nothing of a good one."""

import re
from pathlib import Path

from moonlet.agents import AgentType
from moonlet.replay import vet
from moonlet.satellites.forge import forge
from tests.console.support import invoke
from tests.replay import impure
from tests.replay.shop import TYPES

FILE = Path(impure.__file__)


def test_every_impure_line_is_named_with_its_kind_and_no_other() -> None:
    wanted = set()
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        said = re.search(r"  # (clock|chance|I/O|global state|in-place change|hash order)$", line)
        if said is not None:
            wanted.add((number, said[1]))
    found = vet(impure.bad)
    assert {(each.line, each.kind) for each in found} == wanted
    assert len(wanted) > 20
    by_line = {each.line: each for each in found}
    helper = next(each for each in found if each.via == "stamp")
    assert helper.handler == "command handler bad.go" and "context.now" in helper.remedy
    assert all(each.file == str(FILE) and each.what for each in by_line.values())


def test_what_is_pure_is_left_alone() -> None:
    assert vet(impure.good) == []
    for agent_type in (*TYPES, forge):
        assert vet(agent_type) == []


def test_what_has_no_source_is_passed_over() -> None:
    made: AgentType[int] = AgentType("made", int)
    names: dict[str, object] = {"made": made}
    exec("made.behavior.initial = lambda: __import__('time').time_ns()", names)
    assert vet(made) == []


def test_the_command_prints_file_line_and_remedy_and_ends_with_one() -> None:
    ended = invoke("vet", "tests.replay.impure:bad")
    assert ended.code == 1
    assert re.search(
        r"^tests/replay/impure\.py:\d+: clock: clock\(\) is called"
        r" \(command handler bad\.go, by stamp\)$",
        ended.out,
        re.MULTILINE,
    )
    records = invoke("vet", "tests.replay.impure", "--json").records
    assert {record["kind"] for record in records} >= {"clock", "chance", "I/O"}
    assert all(record["remedy"] for record in records)
    assert invoke("vet", "tests.replay.shop").code == 0
    assert invoke("vet", "no.such.module").code == 2

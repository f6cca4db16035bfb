"""`moonlet view NAME pause|resume|retry|seek|skip`, on replicas in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import work_in
from tests.console.sums import deposit, record, running_bank, view
from tests.console.support import ENVIRONMENT, finish, first_line, invoke, wait_until

REPLICA = """
import asyncio
import sys

from bank import account
import sums

from moonlet.agents import connect
from moonlet.projections import Replica


async def main(view: str, path: str) -> None:
    async with connect(agents=[account]) as moon:
        async with Replica(moon, getattr(sums, view), path) as replica:
            print(replica.name, flush=True)
            await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
"""
JOURNAL = "moon-journal-main"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a running host, whose accounts got 5 and 2; the working folder."""
    with running_bank(tmp_path, ("alice", 5), ("bob", 2)):
        yield work_in(tmp_path, monkeypatch)


class Running:
    """A replica in a process of its own."""

    def __init__(self, folder: Path, view: str, file: str) -> None:
        (folder / "replica.py").write_text(REPLICA)
        self.process = subprocess.Popen(
            [sys.executable, "replica.py", view, file],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.name = first_line(self.process).strip()


@contextmanager
def running(folder: Path, view: str, *files: str) -> Iterator[list[Running]]:
    replicas: list[Running] = []
    try:
        for file in files:
            replicas.append(Running(folder, view, file))
        yield sorted(replicas, key=lambda replica: replica.name)
    finally:
        for replica in replicas:
            finish(replica.process)


def listed(name: str) -> dict[str, Any]:
    """The replica's line of `moonlet views`."""
    (entry,) = [each for each in invoke("views", "--json").records if each["replica"] == name]
    return entry


def orders(view_: str, *arguments: str) -> list[dict[str, Any]]:
    ended = invoke("view", view_, *arguments, "--json")
    assert ended.code == 0, ended
    return ended.records


def test_replicas_are_paused_sought_and_resumed_all_or_one(folder: Path) -> None:
    with running(folder, "totals", "a.db", "b.db") as (a, b):
        wait_until(lambda: listed(a.name)["behind"] == listed(b.name)["behind"] == 0, timeout=20)
        both = orders("totals", "pause")
        assert [(r["replica"], r["standing"]) for r in both] == [
            (a.name, "paused"),
            (b.name, "paused"),
        ]
        assert both[0]["digest"] == both[1]["digest"] != ""
        deposit(folder, "alice", 1)
        assert (listed(a.name)["standing"], listed(a.name)["behind"]) == ("paused", 1)
        (resumed,) = orders("totals", "resume", "--replica", a.name)
        assert (resumed["replica"], resumed["standing"]) == (a.name, "running")
        assert listed(b.name)["standing"] == "paused"
        wait_until(lambda: listed(a.name)["behind"] == 0, timeout=20)
        sought = orders("totals", "seek", "main=1")
        assert [(r["frontier"], r["standing"]) for r in sought] == 2 * [({JOURNAL: 1}, "paused")]
        assert sought[0]["digest"] == sought[1]["digest"]
        assert listed(a.name)["behind"] == 2
        text = invoke("view", "totals", "resume").out.splitlines()
        assert text[0].split() == ["REPLICA", "STANDING", "AT", "DIGEST"]
        assert text[1].split()[:2] == [a.name, "running"]
        wait_until(lambda: listed(b.name)["behind"] == 0, timeout=20)


def test_what_an_event_stopped_is_listed_tried_again_and_skipped(folder: Path) -> None:
    for amount in (13, 3):
        deposit(folder, "alice", amount)
    with running(folder, "fragile", "a.db", "b.db") as (a, b):
        for replica in (a, b):
            wait_until(lambda n=replica.name: listed(n)["standing"] == "PoisonedEvent", timeout=20)  # type: ignore[misc]
        entry = listed(a.name)
        assert (entry["stream"], entry["sequence"], entry["type"]) == (JOURNAL, 3, "Deposited")
        assert entry["behind"] == 2
        shown = invoke("views")
        assert f"{a.name}: view fragile@1 stopped at" in shown.err and "unlucky" in shown.err
        again = invoke("view", "fragile", "retry")
        assert again.code == 65 and "unlucky" in again.err and "PoisonedEvent" in again.out
        assert "Traceback" not in again.err
        (one,) = orders("fragile", "skip", "--replica", a.name)
        assert (one["standing"], one["failure"]) == ("running", "")
        assert len(one["skipped"]) == 1
        nothing = invoke("view", "fragile", "skip", "--replica", a.name)
        assert nothing.code == 2 and "nothing to skip" in nothing.err
        # Those that are left, and the command's own, which isn't folded for that if it isn't there.
        skipped = view("fragile", "skip", "--json")
        assert (skipped.code, [r["replica"] for r in skipped.records]) == (0, [b.name])
        assert not (folder / ".moonlet/views/fragile-v1.db").exists()
        wait_until(lambda: listed(b.name)["behind"] == 0, timeout=20)
        assert orders("fragile", "pause")[0]["digest"] == orders("fragile", "pause")[1]["digest"]
        none = invoke("view", "fragile", "retry")
        assert none.code == 2 and "nothing to retry" in none.err


def test_one_skip_is_for_those_that_run_and_the_commands_own(folder: Path) -> None:
    deposit(folder, "alice", 13)
    with running(folder, "fragile", "a.db") as (a,):
        wait_until(lambda: listed(a.name)["standing"] == "PoisonedEvent", timeout=20)
        assert view("fragile", "get").code == 65
        skipped = view("fragile", "skip", "--json")
        assert skipped.code == 0
        theirs, own = skipped.records
        assert (theirs["replica"], theirs["standing"]) == (a.name, "running")
        assert own["file"].endswith("fragile-v1.db") and own["sequence"] == 3
        assert record("fragile", "get", "total")["value"] == 7
        compared = view("fragile", "compare")
        assert compared.code == 0 and "equal" in compared.out


def test_a_file_whose_replica_does_not_run_is_mended_by_a_skip(folder: Path) -> None:
    deposit(folder, "alice", 13)
    with running(folder, "fragile", "a.db") as (a,):
        wait_until(lambda: listed(a.name)["standing"] == "PoisonedEvent", timeout=20)
    assert record("fragile", "skip", "--file", "a.db")["sequence"] == 3
    with running(folder, "fragile", "a.db") as (a,):
        wait_until(lambda: listed(a.name)["behind"] == 0, timeout=20)
        assert listed(a.name)["standing"] == "running"


def test_a_killed_replica_is_silent_and_left_alone(folder: Path) -> None:
    with running(folder, "totals", "a.db", "b.db") as (a, b):
        a.process.kill()
        a.process.wait(timeout=10)
        wait_until(lambda: listed(a.name)["standing"] == "silent", timeout=20)
        paused = invoke("view", "totals", "pause")
        assert paused.code == 0 and b.name in paused.out and a.name not in paused.out
        assert f"{a.name} doesn't answer, and is left alone" in paused.err
        named = invoke("view", "totals", "pause", "--replica", a.name, "--replica", b.name)
        assert named.code == 69 and b.name in named.out
        assert f"replica {a.name} of view totals isn't here" in named.err
        runs = invoke("views", "--dismiss", f"totals/{b.name}")
        assert runs.code == 2 and "it runs" in runs.err
        assert invoke("views", "--dismiss", f"totals/{a.name}").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("totals", "pause"), 69, "no replica of view totals runs"),
        (("totals", "seek", "main=1"), 69, "no replica of view totals runs"),
        (("totals", "resume", "--replica", "nobody"), 69, "isn't here"),
        (("totals", "retry", "--replica", "a.b"), 2, "a.b"),
        (("to*", "pause"), 2, "to*"),
        (("totals", "seek", "main"), 2, "JOURNAL=SEQUENCE"),
        (("totals", "seek", "main=-1"), 2, "JOURNAL=SEQUENCE"),
        (("totals", "seek", "main=1", f"{JOURNAL}=1"), 2, "name each journal once"),
        (("totals", "seek"), 2, "JOURNAL=SEQUENCE"),
        (("totals", "pause", "--url", "nats://127.0.0.1:9"), 69, "no NATS server"),
    ],
)
def test_what_cannot_be_ordered_is_said(
    stopped: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = invoke("view", *arguments)
    assert ended.code == code, ended
    assert said in ended.err and "Traceback" not in ended.err
    if "JOURNAL" not in said:
        told = invoke("view", *arguments, "--json").err
        assert json.loads(told)["exit"] == code


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_bank(tmp_path_factory.mktemp("orders")) as folder:
        yield folder


@pytest.fixture
def stopped(bank: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a host runs, but no replica."""
    return work_in(bank, monkeypatch)


def test_what_cannot_be_sought_is_said_and_changes_nothing(folder: Path) -> None:
    with running(folder, "totals", "a.db") as (a,):
        wait_until(lambda: listed(a.name)["behind"] == 0, timeout=20)
        for to, said in (("main=9", "ends at 2"), ("eu=1", "folds no journal eu")):
            ended = invoke("view", "totals", "seek", to, "--json")
            assert ended.code == 2 and said in json.loads(ended.err)["message"], ended
        assert (listed(a.name)["standing"], listed(a.name)["behind"]) == ("running", 0)

"""Lines of hosts: what they say of where they were written, asked for, and at the console."""

import asyncio
import json
import logging
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import (
    AgentType,
    Decision,
    Host,
    HostEar,
    Perform,
    Reply,
    WatchAnswer,
    connect,
    gather,
    living_hosts,
)
from moonlet.console.logs.showing import jumps
from moonlet.core.errors import Invalid
from moonlet.simulations import World, faults, simulate
from moonlet.streams import Bus, Topology
from moonlet.streams.server.server_process import ServerProcess
from moonlet.telemetry import configure, get_logger
from moonlet.telemetry.kept import LogKeeper, LogLine, LogQuery, search_logs
from tests.agents.accounts import Deposit
from tests.console.support import BANK, finish, first_line, invoke, run, start, wait_until
from tests.simulations.worlds import ACCOUNT

log = get_logger("t.host_logs")


class Do(msgspec.Struct, frozen=True):
    what: str


class Called(msgspec.Struct, frozen=True):
    what: str


class Done(msgspec.Struct, frozen=True):
    pass


class Nothing(msgspec.Struct, frozen=True):
    done: int = 0


def worker_type() -> AgentType[Nothing]:
    worker = AgentType("worker", Nothing, partitions=1)

    @worker.on_command
    def do(state: Nothing, command: Do) -> Decision:
        log.info("a handler writes", what=command.what)
        if command.what == "fail":
            raise ValueError("on purpose")
        yield Done()
        if command.what == "call":
            yield Perform(Called("outside"))
        yield Reply(state.done)

    @worker.on_event
    def done(state: Nothing, event: Done) -> Nothing:
        return Nothing(state.done + 1)

    @worker.on_perform
    def called(call: Called) -> Done:
        log.info("a call writes", what=call.what)
        return Done()

    @worker.on_command
    def took(state: Nothing, command: Done) -> Decision:
        log.info("a result came")
        yield Done()

    return worker


def found(folder: Path, text: str) -> LogLine:
    (line,) = search_logs(folder, LogQuery(text=text)).lines
    return line


async def test_a_line_says_which_command_was_decided_where(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    configure(logging.CRITICAL)
    worker, topology = worker_type(), Topology(prefix=name)
    with LogKeeper(tmp_path):
        async with (
            connect(shared_server.url, agents=[worker], topology=topology) as moon,
            Host(moon, [worker]) as host,
        ):
            await moon.ask("worker/one", Do("first"))
            first = await moon.tell("worker/one", Do("call"))
            await first.committed()
            failed = await moon.tell("worker/one", Do("fail"))
            assert (await failed.committed()).outcome == "parked"
            log.info("beside it")
            async with asyncio.timeout(20):
                while not search_logs(tmp_path, LogQuery(text='"result came"')).lines:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # sleeps: between two looks
            id = host.id
        log.info("after it")
    line = found(tmp_path, '"handler writes" call')
    assert (line.agent, line.revision, line.command, line.host) == ("worker/one", 2, first.id, id)
    assert line.correlation == first.id and len(line.trace) == 32
    assert jumps(line)[0] == "moonlet why worker/one@2"
    called = found(tmp_path, '"call writes"')
    assert (called.agent, called.command, called.correlation) == ("worker/one", first.id, first.id)
    result = found(tmp_path, '"result came"')
    assert result.correlation == first.id and result.trace == line.trace
    parked = found(tmp_path, '"was parked"')
    assert (parked.command, parked.correlation) == (failed.id, failed.id)
    assert f"moonlet why worker/one@{parked.revision}" in jumps(parked)
    beside = found(tmp_path, "beside")
    assert (beside.host, beside.agent, beside.revision) == (id, "", 0)
    assert found(tmp_path, '"after it"').host == ""


@simulate(seeds=2, hosts=2, agents=[ACCOUNT], faults=faults.none(), horizon="1s")
async def silent(world: World) -> None:
    async with world.client() as moon:
        await moon.ask("account/a", Deposit(1))
    get_logger("t.world").error("a line of a world")
    await world.settle()


def test_lines_of_worlds_go_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LogKeeper(tmp_path):
        silent()
    assert not search_logs(tmp_path, LogQuery(text="world")).lines
    assert "a line of a world" not in capsys.readouterr().err


# asking hosts


@pytest.fixture
async def bus(shared_server: ServerProcess, name: str) -> AsyncIterator[Bus]:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        yield moon.bus


def ear(bus: Bus, host: str, items: list[Any], **more: Any) -> HostEar:
    async def answer(question: bytes) -> WatchAnswer:
        if question == b"wrong":
            raise Invalid("this can't be asked")
        if question == b"bug":
            raise KeyError("bug")
        if question == b"slow":
            await asyncio.sleep(30)  # sleeps: longer than anybody waits
        return WatchAnswer(items, ["one file was damaged"] if question == b"trouble" else [])

    return HostEar(bus, lambda: host, {"things": answer})


async def test_all_hosts_are_asked_and_large_answers_come_in_parts(bus: Bus) -> None:
    large = [{"n": n, "text": "x" * 5_000} for n in range(400)]
    async with ear(bus, "h-1", large), ear(bus, "h-2", [{"n": -1}]), ear(bus, "h-3", []):
        told = await gather(bus, "things", hosts=["h-1", "h-2", "h-3"])
        assert told.troubles == []
        assert told.items["h-1"] == large and told.items["h-2"] == [{"n": -1}]
        assert (await gather(bus, "things")).items.keys() == {"h-1", "h-2", "h-3"}


async def test_what_hosts_refuse_or_leave_out_is_told(bus: Bus) -> None:
    huge = [{"text": "x" * 2_000_000}, {"n": 1}]
    async with ear(bus, "h-1", huge), ear(bus, "h-2", []):
        hosts = ["h-1", "h-2"]
        told = await gather(bus, "things", b"trouble", hosts=hosts)
        assert told.items["h-1"] == [{"n": 1}]
        assert sum("too large" in trouble for trouble in told.troubles) == 1
        assert sum("damaged" in trouble for trouble in told.troubles) == 2
        for question, words in ((b"wrong", "can't be asked"), (b"bug", "KeyError")):
            told = await gather(bus, "things", question, hosts=hosts)
            assert len(told.troubles) == 2 and all(words in each for each in told.troubles)
        told = await gather(bus, "other", hosts=hosts)
        assert all("tells no other" in each for each in told.troubles)
        told = await gather(bus, "things", b"q" * 70_000, hosts=hosts)
        assert all("70000" in each or "more than" in each for each in told.troubles)
        bus.post(bus.subjects.watch("things"), b"", reply=f"{bus.subjects.prefix}.evt.a.b")
        told = await gather(bus, "things", b"slow", hosts=[*hosts, "h-3"], seconds=0.2)
        assert [each for each in told.troubles if "in time" in each] and len(told.troubles) == 3
        asked = [asyncio.create_task(gather(bus, "things", b"slow", seconds=0.3, hosts=hosts))
                 for _ in range(9)]  # fmt: skip
        answers = await asyncio.gather(*asked)
        assert any("being answered" in each for told in answers for each in told.troubles)


async def test_nobody_to_ask_is_no_error_and_takes_no_time(bus: Bus) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    told = await gather(bus, "things", hosts=["h-gone"], seconds=30)
    assert told.items == {} and "h-gone" in told.troubles[0]
    assert loop.time() - started < 10
    assert await living_hosts(bus) == []


# the console


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A folder in which a host ran, was killed, ran again and was stopped; and what it printed."""
    folder = tmp_path_factory.mktemp("bank")
    line = '    log.info("a deposit", amount=command.amount)\n'
    source = BANK.replace("    if command.amount", f"{line}    if command.amount", 1)
    assert source != BANK
    head = "from moonlet.telemetry import get_logger\nlog = get_logger('bank')\n"
    (folder / "bank.py").write_text(head + source)
    server = start("up", "--json", folder=folder)
    first_line(server)
    process = start("run", "bank.py", "--lease", "1", "--restarts", "1", folder=folder)
    try:
        first_line(process)
        done = run("ask", "account/alice", "Deposit", '{"amount": 17}', "--module", "bank.py",
                   folder=folder)  # fmt: skip
        assert done.code == 0, done
        wait_until(lambda: "a deposit" in logs(folder, "deposit").out, timeout=20)
        subprocess.run(["pkill", "-9", "-P", str(process.pid)], check=True)
        wait_until(lambda: len(logs(folder, '"host runs"').records) == 2, timeout=40)
        gathered = run("logs", "--hosts", "--json", "deposit", folder=folder)
        followed = start("logs", "--follow", "--json", "deposit", folder=folder)
        first_line(followed)
        run("ask", "account/bob", "Deposit", '{"amount": 18}', "--module", "bank.py",
            folder=folder)  # fmt: skip
        assert followed.stdout is not None
        more = followed.stdout.readline()
        followed.send_signal(signal.SIGINT)
        assert followed.wait(timeout=20) == 0
        finish(followed)
        data = ("--data", str(folder), "--json")
        told = [
            invoke("top", "--once", "--every", "0.3", *data).out,
            invoke("alerts", "silence", "slow-handler", "10m", "--by", "ann", *data).out,
            invoke("alerts", "ack", "slow-handler", *data).err,
            invoke("alerts", "now", *data).out,
            invoke("alerts", "history", *data).out,
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        yield folder, [gathered.out, more, *told]
    finally:
        finish(process)
        finish(server)


def logs(folder: Path, *words: str) -> Any:
    return invoke("logs", "--data", str(folder), "--json", *words)


def test_lines_are_searched_followed_and_gathered(bank: tuple[Path, list[str]]) -> None:
    folder, (gathered, more, *_) = bank
    first, second = logs(folder, '"a deposit"').records
    assert first["agent"] == "account/alice" and first["revision"] == 1
    assert first["commands"][0] == "moonlet why account/alice@1"
    assert json.loads(gathered)["id"] == first["id"] and json.loads(gathered)["store"]
    assert json.loads(more)["facts"] == {"amount": 18} and json.loads(more)["id"] == second["id"]
    assert logs(folder, "--at", "account/alice@1").records == [first]
    assert first in logs(folder, "--at", first["command"]).records
    assert logs(folder, "--since", "1h", "--agent", "account/bob").records == [second]
    assert logs(folder, "--until", "1h", "deposit").records == []
    died = logs(folder, '"started again"').records
    assert [line["level"] for line in died] == ["warning"] and died[0]["facts"][
        "ended"
    ] == "SIGKILL"


def test_top_and_alerts_ask_the_host(bank: tuple[Path, list[str]]) -> None:
    top, silenced, refused, now, history = bank[1][2:]
    (standing,) = [json.loads(line) for line in top.splitlines()]
    assert [row["type"] for row in standing["types"]] == ["account"]
    assert len(standing["hosts"]) == 1 and standing["hosts"][0]["measured"]
    assert standing["server"]["fsync"] is True and standing["disk_free"] > 0
    assert json.loads(silenced)["by"] == "ann" and len(json.loads(silenced)["hosts"]) == 1
    assert "does not fire" in refused and "Traceback" not in refused
    assert now == "" and history == ""


@pytest.mark.parametrize(
    "wrong",
    [("ack", "nothing"), ("ack",), ("silence", "slow-handler", "long"), ("loud",)],
)
def test_what_can_not_be_done_with_alerts_is_said(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    done = invoke("alerts", *wrong, "--data", str(tmp_path))
    assert done.code == 2 and "Traceback" not in done.err, done


def test_a_line_leads_to_its_commit_and_back(bank: tuple[Path, list[str]]) -> None:
    folder, _ = bank
    first = logs(folder, "deposit").records[0]
    shown = invoke("logs", "--data", str(folder), "--line", first["id"])
    assert shown.code == 0, shown
    assert f"> {first['at'][:-4].replace('T', ' ')}" in shown.out and "a host runs" in shown.out
    assert "moonlet why account/alice@1" in shown.err
    gone = logs(folder, "--line", "2020-01-01:5")
    assert gone.code == 2 and "no line" in gone.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--line", "x"),
        ("--at", "account/alice@last"),
        ("--level", "loud"),
        ("--since", "soon"),
        ("--", "-alone"),
        ("!!!",),
        ("--limit", "0"),
        ("--line", "2020-01-01:5", "--hosts"),
    ],
)
def test_what_can_not_be_asked_is_said(
    bank: tuple[Path, list[str]], wrong: tuple[str, ...]
) -> None:
    done = invoke("logs", "--data", str(bank[0]), *wrong)
    assert done.code == 2 and "Traceback" not in done.err, done


def test_no_folder_is_said_and_an_odd_setting_too(tmp_path: Path) -> None:
    done = invoke("logs", "--data", str(tmp_path))
    assert done.code == 2 and "--hosts" in done.err
    (tmp_path / "pyproject.toml").write_text("[tool.moonlet.logs]\nweeks = 1\n")
    (tmp_path / "bank.py").write_text(BANK)
    done = run("run", "bank.py", "--restarts", "0", folder=tmp_path)
    assert done.code == 2 and "tool.moonlet.logs" in done.err and "Traceback" not in done.err

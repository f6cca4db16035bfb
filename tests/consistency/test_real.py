"""The same on a real server, whose hosts are killed and paused; and the guarantees one by one."""

from pathlib import Path

import pytest

from moonlet.agents import Client, Host, connect
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, Transfer, account_type
from tests.consistency import porcupine, worlds
from tests.consistency.linearizable import unlinearizable
from tests.consistency.real import judge, run_anything
from tests.faulty import until_true


async def test_clients_that_do_anything_while_hosts_are_killed(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    """Short; `make porcupine` has long ones, and those whose clients keep their tokens."""
    run = await run_anything(shared_server.url, name, tmp_path, seed=7, steps=6, exchanged=True)
    judge(run)
    assert len(run.history.operations) > 6


async def test_who_has_the_token_reads_at_least_what_it_saw(
    shared_server: ServerProcess, name: str
) -> None:
    """By query, history and state, whoever wrote it."""
    account, topology = account_type(), Topology(prefix=name)
    async with (
        connect(shared_server.url, topology=topology) as writer,
        Host(writer, [account]),
        connect(shared_server.url, topology=topology, agents=[account]) as reader,
    ):
        for number in range(1, 30):
            await writer.ask("account/a", Deposit(1))
            for stream, sequence in writer.token.sequences.items():
                reader.see(stream, sequence)
            match number % 3:
                case 0:
                    assert await reader.query("account/a", GetBalance()) == number
                case 1:
                    assert (await reader.state("account/a")).balance == number
                case _:
                    assert len([c async for c in reader.history("account/a")]) == number


async def test_across_agents_a_reader_may_see_half_of_it_and_later_all(
    shared_server: ServerProcess, name: str
) -> None:
    """A transfer is two commits: the first is seen without the second, never the second alone."""
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            await moon.ask("account/a", Deposit(5))
            await moon.ask("account/b", Deposit(1))
            await moon.order("account/b", "stop")
            await moon.ask("account/a", Transfer("account/b", 5))
            assert await moon.query("account/a", GetBalance()) == 0  # fractured: it is nowhere
            await moon.order("account/b", "start")

            async def whole() -> bool:
                return bool(await moon.query("account/b", GetBalance()) == 6)

            await until_true(whole)
            await caused_before(moon, "account/a", "account/b")


async def caused_before(moon: Client, *agents: str) -> None:
    """Every commit that another caused stands behind it in the journal."""
    commits = [commit for agent in agents async for commit in moon.history(agent)]
    at = {commit.command.id: commit.sequence for commit in commits}
    caused = [commit for commit in commits if commit.command.causation_id]
    assert caused
    for commit in caused:
        assert commit.sequence > at[commit.command.causation_id]


def test_where_there_is_no_go_porcupine_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["porcupine"])
    assert porcupine.main() == 2
    assert "`go` was not found" in capsys.readouterr().err


def test_a_history_that_is_spoiled_on_purpose_is_found_out() -> None:
    """By our own judge; `make porcupine` sees to it that Porcupine says so too."""
    assert worlds.calm.run(1).error is None
    history = worlds.last[0]
    assert not unlinearizable(history.operations)
    assert unlinearizable(porcupine.spoil(history).operations)

"""The audit: a planted loss and a planted duplicate show, whoever sent the command."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.commit import Command, Commit, Effect, Event
from moonlet.core.hlc import Timestamp
from moonlet.satellites.night import Drive, depeg, drive
from moonlet.satellites.night.audit import SentCommand, audit, unanswered
from moonlet.satellites.night.causes import Causes, effect_of
from tests.satellites.bus import Bus

Commits = dict[str, list[Commit[Any]]]


@pytest.fixture(scope="module")
def night() -> Drive:
    return asyncio.run(drive(Bus(), depeg()[:20], speed=1_000.0))


def copied(night: Drive) -> Commits:
    return {agent: list(commits) for agent, commits in night.commits.items()}


def test_a_whole_night_has_no_fault(night: Drive) -> None:
    found = audit(night.commits, night.sent)
    assert (found.lost, found.doubled, found.strays) == ((), (), ())
    assert not unanswered(night.commits, night.sent)


def test_a_command_of_the_driver_that_is_no_commit_is_lost(night: Drive) -> None:
    commits = copied(night)
    gone = commits["oracle/main"].pop()
    found = audit(commits, night.sent)
    assert [(each.id, each.agent, each.source) for each in found.lost] == [
        (gone.command.id, "oracle/main", "driver")
    ]
    assert unanswered(commits, night.sent)
    # What the vanished commit had sent now comes from nowhere.
    assert len(found.strays) == sum(effect.kind == "send" for effect in gone.effects)


def test_a_send_that_is_no_commit_of_its_receiver_is_lost(night: Drive) -> None:
    commits = copied(night)
    index = next(
        n for n, c in enumerate(commits["aegis/main"]) if c.command.name == "Prices" and n > 20
    )
    gone = commits["aegis/main"].pop(index)
    (lost,) = audit(commits, night.sent).lost
    assert (lost.id, lost.name, lost.source) == (gone.command.id, "Prices", "oracle/main")
    assert unanswered(commits, night.sent)


def test_a_command_applied_twice_is_doubled(night: Drive) -> None:
    commits = copied(night)
    first = commits["fuel/main"][10]
    again = msgspec.structs.replace(first, revision=len(commits["fuel/main"]) + 1, effects=())
    commits["fuel/main"].append(again)
    found = audit(commits, night.sent)
    assert [(each.id, each.times) for each in found.doubled] == [(first.command.id, 2)]
    assert found.lost == ()


def test_a_loss_and_a_duplicate_planted_together_both_show(night: Drive) -> None:
    commits = copied(night)
    twice = next(c for c in commits["forge/main"] if c.command.name == "GrantApproval")
    commits["forge/main"].append(msgspec.structs.replace(twice, revision=999, effects=()))
    tick = commits["oracle/main"].pop(5)
    found = audit(commits, night.sent)
    assert tick.command.id in {each.id for each in found.lost}
    assert [each.id for each in found.doubled] == [twice.command.id]


def commit(agent: str, revision: int, command: Command[Any], *effects: Effect[Any]) -> Commit[Any]:
    return Commit(agent, revision, "accepted", command, Timestamp(revision), effects=effects)


def send(to: str) -> Effect[Any]:
    return Effect("send", to, message=Event("Ping", {}))


def test_a_call_needs_one_result_and_a_timer_fires_on_its_own() -> None:
    call: Effect[Any] = Effect("perform", message=Event("Fetch", {}))
    asked = commit("a/x", 1, Command("c1", "Go", {}), call)
    result = commit("a/x", 2, Command("a/x:1.0:result", "Got", {}, call="a/x:1.0"))
    fired = commit("a/x", 3, Command("t1", "Tick", {}, timer="t", number=1))
    sent = [SentCommand("c1", "a/x", "Go")]
    assert audit({"a/x": [asked, result, fired]}, sent).strays == ()
    assert [each.id for each in audit({"a/x": [asked]}, sent).lost] == ["a/x:1.0:result"]
    twice = msgspec.structs.replace(result, revision=3)
    assert len(audit({"a/x": [asked, result, twice]}, sent).doubled) == 1
    again = msgspec.structs.replace(fired, revision=4)
    assert len(audit({"a/x": [asked, result, fired, again]}, sent).doubled) == 1


def test_a_receiver_that_was_not_read_is_not_judged() -> None:
    asked = commit("a/x", 1, Command("c1", "Go", {}), send("b/y"))
    sent = [SentCommand("c1", "a/x", "Go"), SentCommand("c2", "b/y", "Go")]
    assert audit({"a/x": [asked]}, sent).lost == ()


def test_the_chain_of_causes_leads_to_the_first_command(night: Drive) -> None:
    causes = Causes(night.commits)
    executed = next(
        c
        for c in night.commits["forge/main"]
        if any(event.name == "TxExecuted" for event in c.events)
    )
    agents = [each.agent for each in causes.chain(executed)]
    assert agents == ["forge/main", "aegis/main", "forge/main", "aegis/main", "oracle/main"]
    *_, first = causes.chain(executed)
    assert first.command.id.startswith("main-tick-")
    assert effect_of("client-1") is None
    assert effect_of("a/b:12.3:result") == ("a/b", 12, 3)


agents = st.sampled_from(["a/x", "b/y"])


@given(st.data(), st.integers(1, 12))
def test_whatever_single_commit_is_dropped_or_repeated_shows(data: Any, size: int) -> None:
    commits: dict[str, list[Commit[Any]]] = {"a/x": [], "b/y": []}
    waiting = [("a/x", "c1")]
    while waiting and sum(map(len, commits.values())) < size:
        agent, id = waiting.pop(0)
        revision = len(commits[agent]) + 1
        targets = data.draw(st.lists(agents, max_size=2))
        made = commit(agent, revision, Command(id, "Ping", {}), *map(send, targets))
        commits[agent].append(made)
        waiting += [(to, f"{agent}:{revision}.{n}") for n, to in enumerate(targets)]
    sent = [SentCommand("c1", "a/x", "Ping")]
    before = faults(commits, sent)
    assert len(before["lost"]) == len(waiting)
    everything = [(agent, n) for agent, found in commits.items() for n in range(len(found))]
    agent, n = data.draw(st.sampled_from(everything))
    hurt = {name: list(found) for name, found in commits.items()}
    if data.draw(st.booleans()):
        gone = hurt[agent].pop(n)
        assert gone.command.id in faults(hurt, sent)["lost"]
    else:
        hurt[agent].append(msgspec.structs.replace(hurt[agent][n], effects=()))
        assert faults(hurt, sent)["doubled"] == [commits[agent][n].command.id]


def faults(
    commits: Mapping[str, list[Commit[Any]]], sent: list[SentCommand]
) -> dict[str, list[str]]:
    found = audit(commits, sent)
    return {
        "lost": [each.id for each in found.lost],
        "doubled": [each.id for each in found.doubled],
    }

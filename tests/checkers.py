"""What must hold of journals, whatever happened: used at the end of every promise test."""

from typing import Any

from moonlet.agents import Client
from moonlet.core.commit import Commit
from moonlet.core.fold import call_id
from tests.agents.accounts import Account


async def histories(moon: Client, agents: list[str]) -> dict[str, list[Commit[Any]]]:
    """All commits of the agents, checked one by one."""
    found: dict[str, list[Commit[Any]]] = {}
    for agent in agents:
        commits = [commit async for commit in moon.history(agent)]
        check_history(agent, commits)
        found[agent] = commits
    return found


def check_history(agent: str, commits: list[Commit[Any]]) -> None:
    """Revisions contiguous, the chain unbroken, no command twice (P1, P3, P5, P7)."""
    previous = ""
    for expected, commit in enumerate(commits, 1):
        assert commit.revision == expected, f"{agent}: revision {commit.revision}, not {expected}"
        assert commit.previous_digest == previous, f"{agent}: the chain breaks at {expected}"
        previous = commit.digest
    ids = [commit.command.id for commit in commits]
    doubled = sorted({id for id in ids if ids.count(id) > 1})
    assert not doubled, f"{agent}: committed twice: {doubled}"


def check_acknowledged(commits: list[Commit[Any]], acknowledged: list[str]) -> None:
    """Every acknowledged command is committed, in the order in which it was sent (P1, P4)."""
    ids = [commit.command.id for commit in commits]
    sent = set(acknowledged)
    assert [id for id in ids if id in sent] == acknowledged


def check_sends(found: dict[str, list[Commit[Any]]]) -> None:
    """What a commit sent is a command of its receiver exactly once (P3)."""
    received = [
        (agent, commit.command.id) for agent, commits in found.items() for commit in commits
    ]
    for commits in found.values():
        for commit in commits:
            for index, effect in enumerate(commit.effects):
                if effect.kind == "send" and effect.target in found:
                    id = call_id(commit.agent, commit.revision, index)
                    count = received.count((effect.target, id))
                    assert count == 1, f"{id} was applied {count} times by {effect.target}"


async def check_states(moon: Client, found: dict[str, list[Commit[Any]]]) -> None:
    """The fold equals a sum made by hand (P2)."""
    for agent, commits in found.items():
        balance = 0
        for commit in commits:
            for event in commit.events:
                if event.name == "Deposited":
                    balance += event.body["amount"]
                elif event.name == "Withdrawn":
                    balance -= event.body["amount"]
        state = await moon.state(agent)
        assert isinstance(state, Account) and state.balance == balance

"""What was lost, doubled or came from nowhere: the driver's log and all effects, against commits.

A command that was told, and a send that stands in a commit, must be exactly one commit of its
receiver; a call must have exactly one result.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from moonlet.core import Commit, call_id
from moonlet.satellites.night.causes import Commits, effect_of


class SentCommand(Struct, frozen=True):
    """A command that the driver knows to be stored."""

    id: str
    agent: str
    name: str


class DeliveryFault(Struct, frozen=True):
    """A command that is not exactly one commit: `times` it was found at `agent`.

    `source` is who sent it: 'driver', or the agent in whose commit the effect stands.
    """

    id: str
    agent: str
    name: str
    source: str
    times: int


class DeliveryAudit(Struct, frozen=True):
    """All faults. `strays` look like effects, but no commit has them."""

    lost: tuple[DeliveryFault, ...]
    doubled: tuple[DeliveryFault, ...]
    strays: tuple[DeliveryFault, ...]


def audit(commits: Commits, sent: Iterable[SentCommand]) -> DeliveryAudit:
    """Compare what was sent with what was committed. A receiver outside `commits` is not judged."""
    found = Counter(
        (agent, _identity(commit)) for agent, each in commits.items() for commit in each
    )
    expected = {
        (agent, id): (name, source)
        for agent, id, name, source in _expected(commits, sent)
        if agent in commits
    }
    lost = [
        DeliveryFault(id, agent, name, source, 0)
        for (agent, id), (name, source) in expected.items()
        if not found[agent, id]
    ]
    names = {
        (agent, _identity(commit)): commit.command.name
        for agent, each in commits.items()
        for commit in each
    }
    doubled = [
        DeliveryFault(id, agent, names[agent, id], expected.get((agent, id), ("", ""))[1], times)
        for (agent, id), times in found.items()
        if times > 1
    ]
    strays = [
        DeliveryFault(id, agent, names[agent, id], _sender(id), times)
        for (agent, id), times in found.items()
        if (agent, id) not in expected and _sender(id) in commits
    ]
    return DeliveryAudit(_sorted(lost), _sorted(doubled), _sorted(strays))


def unanswered(commits: Commits, sent: Iterable[SentCommand]) -> bool:
    """Whether something that was sent is no commit yet."""
    found = {(agent, _identity(commit)) for agent, each in commits.items() for commit in each}
    return any(
        agent in commits and (agent, id) not in found
        for agent, id, _, _ in _expected(commits, sent)
    )


def _identity(commit: Commit[Any]) -> str:
    """The command's id; a call's result is known by its call, and a timer's firing by itself."""
    command = commit.command
    if command.timer:
        return f"timer {command.timer} {command.number}"
    return f"{command.call}:result" if command.call else command.id


def _expected(commits: Commits, sent: Iterable[SentCommand]) -> Iterator[tuple[str, str, str, str]]:
    for each in sent:
        yield each.agent, each.id, each.name, "driver"
    for agent, found in commits.items():
        for commit in found:
            for index, effect in enumerate(commit.effects):
                name = effect.message.name if effect.message else ""
                id = call_id(agent, commit.revision, index)
                if effect.kind == "send":
                    yield effect.target, id, name, agent
                elif effect.kind == "perform":
                    yield agent, f"{id}:result", name, agent


def _sender(id: str) -> str:
    effect = effect_of(id)
    return effect[0] if effect else ""


def _sorted(faults: Iterable[DeliveryFault]) -> tuple[DeliveryFault, ...]:
    return tuple(sorted(faults, key=lambda fault: (fault.agent, fault.id)))

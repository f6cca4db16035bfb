"""Why a commit is there, and what followed from it: causes backward, effects forward."""

from typing import Any, Final, Literal

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.fold import call_id
from moonlet.replay.causes.cause import CausedBy, cause_of, receiver_of
from moonlet.replay.causes.lookup import Lookup

STEPS_MAX: Final = 10_000
"""Commits in a chain or a tree; beyond, it says that it was cut off."""

Missing = Literal["", "uncommitted", "not recorded", "too many"]


class WhyStep(msgspec.Struct, frozen=True):
    """A commit and the cause that its command names; `missing` if that could not be followed.

    not recorded: the journal does not hold such an effect, whatever the command claims.
    """

    commit: Commit[Any]
    cause: CausedBy | None
    missing: Missing = ""


class Followed(msgspec.Struct):
    """A commit and what followed from it, by effect. `index` is the effect's that it came from.

    `commit` is None for a command, timer or call that has no commit; `missing` says why.
    """

    agent: str
    name: str
    kind: str
    index: int
    commit: Commit[Any] | None = None
    missing: Missing = ""
    following: list["Followed"] = []


async def why(lookup: Lookup, commit: Commit[Any], most: int = STEPS_MAX) -> list[WhyStep]:
    """The chain of causes, from the commit back to what came from outside."""
    chain: list[WhyStep] = []
    seen: set[tuple[str, int]] = set()
    here: Commit[Any] | None = commit
    while here is not None:
        cause = cause_of(here)
        seen.add((here.agent, here.revision))
        before = await lookup.commit(cause.agent, cause.revision) if cause is not None else None
        missing: Missing = ""
        if cause is not None:
            circle = (cause.agent, cause.revision) in seen
            if before is None or circle or not _caused(before, cause, here):
                missing, before = "not recorded", None
            elif len(chain) + 1 >= most:
                missing, before = "too many", None
        chain.append(WhyStep(here, cause, missing))
        here = before
    return chain


def _caused(before: Commit[Any], cause: CausedBy, here: Commit[Any]) -> bool:
    """Whether the commit has that effect, and it went to this agent."""
    if cause.index >= len(before.effects):
        return False
    return receiver_of(before, before.effects[cause.index]) == here.agent


async def effects(lookup: Lookup, commit: Commit[Any], most: int = STEPS_MAX) -> Followed:
    """The tree of what followed from a commit, breadth first until `most` commits are in it."""
    root = _node(commit, commit.command.name, "", -1)
    waiting, count = [root], 1
    while waiting:
        node = waiting.pop(0)
        cause = node.commit
        assert cause is not None
        for index, effect in enumerate(cause.effects):
            receiver = receiver_of(cause, effect)
            if not receiver:
                continue
            id = call_id(cause.agent, cause.revision, index)
            if effect.kind == "perform":
                id += ":result"
            name = effect.message.name if effect.message is not None else ""
            if count >= most:
                node.following.append(
                    Followed(receiver, name, effect.kind, index, missing="too many")
                )
                continue
            found = await lookup.of_command(receiver, id)
            if found is None or cause_of(found) is None:
                made = Followed(receiver, name, effect.kind, index, missing="uncommitted")
            else:
                made = _node(found, found.command.name, effect.kind, index)
                waiting.append(made)
                count += 1
            node.following.append(made)
    return root


def _node(commit: Commit[Any], name: str, kind: str, index: int) -> Followed:
    return Followed(commit.agent, name, kind, index, commit)


class Leg(msgspec.Struct, frozen=True):
    """One step of a critical path, in µs: `waited_us` from its cause's decision to its own.

    That is `sent_us` until the command was stored in a mailbox (its cause's commit, and that its
    effects were out; a timer's wait too) and `queued_us` from there to the decision. Its own commit
    was stored `committed_us` later. Stored is by the server's clock, decided by the host's: where
    they differ a part may be below 0. None where it was not recorded.
    """

    commit: Commit[Any]
    waited_us: int
    sent_us: int | None = None
    queued_us: int | None = None
    committed_us: int | None = None


async def critical_path(lookup: Lookup, root: Commit[Any]) -> list[Leg]:
    """From a commit to the last one that followed from it: what the conversation's end waited for.

    Times are those of decisions. Timers' waits are in it, since somebody asked for them.
    """
    tree = await effects(lookup, root)
    last, nodes = root, [tree]
    while nodes:
        node = nodes.pop()
        nodes += node.following
        if node.commit is not None and node.commit.time > last.time:
            last = node.commit
    chain: list[Commit[Any]] = []
    for step in await why(lookup, last):
        chain.append(step.commit)
        if (step.commit.agent, step.commit.revision) == (root.agent, root.revision):
            break
    chain.reverse()
    return [_leg(None, chain[0]), *map(_leg, chain, chain[1:])]


def _leg(before: Commit[Any] | None, commit: Commit[Any]) -> Leg:
    decided, sent = commit.wall_us, commit.command.stored
    earlier = decided if before is None else before.wall_us
    return Leg(
        commit,
        decided - earlier,
        sent - earlier if sent and before is not None else None,
        decided - sent if sent else None,
        commit.stored - decided if commit.stored else None,
    )

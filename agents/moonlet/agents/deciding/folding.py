"""The state after stored commits: what recovery, histories and verification have in common."""

from typing import Any, TypeVar

from moonlet.agents.definition import AgentType
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import (
    InvalidMessage,
    MoonletError,
    Undecodable,
    UnknownCommand,
    in_words,
)
from moonlet.core.fold import Fold
from moonlet.streams import Skips, StoredMessage, decode_commit

S = TypeVar("S")


def initial_state(agent_type: AgentType[S]) -> S:
    """The state before the first commit; raises `Undecodable` if the type can't make one."""
    try:
        return agent_type.behavior.initial()
    except BaseException as error:  # nothing is awaited here: it is the type's own
        raise Undecodable(
            f"the initial state of agent type {agent_type.name} can't be made:"
            f" {in_words(error)}; mend `initial`",
            type=agent_type.name,
        ) from error


def fold_message(
    agent_type: AgentType[Any] | None,
    stream: str,
    fold: Fold[Any],
    message: StoredMessage,
    skips: Skips,
) -> tuple[Commit[Any], Encoding] | None:
    """Fold an agent's next message; None for a record that a repair leaves out.

    Without `agent_type` the state stays None. Raises `Undecodable`, `Corrupt`.
    """
    skip = skips.get(message.sequence)
    if skip is not None and skip.what == "record":
        fold.skip(skip)
        return None
    commit, encoding = decode_commit(stream, message)
    state = fold.state
    if agent_type is not None and skip is None:
        state = fold_state(agent_type, stream, state, commit, encoding)
    fold.advance(commit, state)
    return commit, encoding


def fold_state(
    agent_type: AgentType[S], stream: str, state: S, commit: Commit[Any], encoding: Encoding
) -> S:
    """The state after a stored commit's events; raises `Undecodable` that names the event."""
    for event in commit.events:
        try:
            state = agent_type.behavior.evolve_stored(state, event, encoding)
        except (InvalidMessage, UnknownCommand) as error:
            raise Undecodable(
                f"{stream}: event {event.name} of {commit.agent} at sequence {commit.sequence}"
                f" can't be read: {error}",
                stream=stream,
                sequence=commit.sequence,
                type=event.name,
                field=getattr(error, "path", ""),
            ) from None
        except MoonletError:
            raise
        except BaseException as error:  # nothing is awaited here: it is the handler's own
            raise Undecodable(
                f"{stream}: the on_event handler of {event.name} failed on {commit.agent} at"
                f" sequence {commit.sequence}: {in_words(error)}; mend the handler",
                stream=stream,
                sequence=commit.sequence,
                type=event.name,
            ) from error
    return state

"""P3: a command is applied once, and what a commit causes takes effect once or is parked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moonlet.core.commit import Commit
from moonlet.core.fold import message_digest
from moonlet.simulations.checkers.checker import Evidence, Finding
from moonlet.simulations.chronicle import History


def check_once(world: Evidence) -> Iterator[Finding]:
    """Commands applied twice, and sends that neither landed nor are parked."""
    chronicle = world.chronicle
    for history in chronicle.histories.values():
        for id in history.twice:
            yield "P3 exactly once", f"{id} was applied twice by {history.agent}"
        fired: set[tuple[str, int]] = set()
        for commit in history.commits:
            command = commit.command
            if command.timer:
                firing = command.timer, command.number
                if firing in fired:
                    yield "P3 exactly once", f"{history.agent}: the timer {firing} fired twice"
                fired.add(firing)
                if not _as_set(history, commit):
                    what = f"the timer {firing} fired {command.name}, which it was not set for"
                    yield "P3 exactly once", f"{history.agent}: {what}"
    for id, target in chronicle.sends.items():
        if chronicle.is_stopped(target):
            continue
        yield "P3 exactly once", f"{id} was sent to {target}, did not arrive and is not parked"


def _as_set(history: History, commit: Commit[Any]) -> bool:
    """Whether a firing's command is one that the commit it names has set this timer for."""
    command = commit.command
    setting = history.commits[command.number - 1].effects if command.number else ()
    return any(
        effect.kind == "schedule"
        and effect.target == command.timer
        and effect.message is not None
        and message_digest(effect.message) == message_digest(command)
        for effect in setting
    )

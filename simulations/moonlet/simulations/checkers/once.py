"""P3: a command is applied once, and what a commit causes takes effect once or is parked."""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.simulations.checkers.checker import Evidence, Finding


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
    for id, target in chronicle.sends.items():
        if chronicle.is_stopped(target):
            continue
        yield "P3 exactly once", f"{id} was sent to {target}, did not arrive and is not parked"

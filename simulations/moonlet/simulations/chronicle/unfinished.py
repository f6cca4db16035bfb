"""What a world still owes: all that was acknowledged, or caused by a commit, and is not done."""

from typing import Final

from moonlet.simulations.chronicle.chronicle import Chronicle

OVERDUE_NS: Final = 2_000_000_000
"""A timer may fire so long after it was due before it counts as missing."""


def open_timers(chronicle: Chronicle, now_ns: int) -> dict[str, float]:
    """Timers that are open and not due: `AGENT NAME` → seconds until it fires, the next first."""
    due = {
        f"{history.agent} {name}": history.commits[where.revision - 1].effects[where.index].due
        for history in chronicle.histories.values()
        for name, where in history.fold.timers.items()
    }
    now_us = now_ns // 1_000
    left = {name: (at - now_us) / 1_000_000 for name, at in due.items() if at > now_us}
    return dict(sorted(left.items(), key=lambda item: (item[1], item[0])))


def undone(chronicle: Chronicle, now_ns: int) -> list[str]:
    """What still has to happen, a line each: commands, effects, calls, overdue timers.

    `now_ns` is the server's time, in nanoseconds since 1970.
    """
    lines = [
        f"{command.id} to {command.agent} is acknowledged ({command.stream} "
        f"{command.sequence}) and not committed"
        for command in chronicle.undone.values()
        if not chronicle.is_stopped(command.agent)
    ]
    now_us = now_ns // 1_000
    for history in chronicle.histories.values():
        if not history.fold.timers and not history.fold.calls:
            continue
        if chronicle.is_stopped(history.agent):
            continue
        for name, where in history.fold.timers.items():
            effect = history.commits[where.revision - 1].effects[where.index]
            if effect.due * 1_000 + OVERDUE_NS < now_us * 1_000:
                lines.append(f"the timer {name} of {history.agent} did not fire")
        for call in history.fold.calls:
            if call not in chronicle.parked:
                lines.append(f"the call {call} has no result")
    for agent, id in chronicle.to_note:
        lines.append(f"{id} of {agent} is parked and not in the parked stream yet")
    for id, target in chronicle.sends.items():
        if chronicle.is_stopped(target):
            continue
        lines.append(f"the effect {id} is neither committed by {target} nor parked")
    return lines

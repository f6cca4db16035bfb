"""Faults as lines for people: skews of one clock add up, so their sum stands with each."""

from __future__ import annotations

from collections.abc import Iterable

from moonlet.simulations.durations import shown
from moonlet.simulations.faults.kinds import Fault


def in_lines(faults: Iterable[Fault]) -> list[str]:
    """A line for each, in their order."""
    off: dict[str, int] = {}
    lines = []
    for fault in faults:
        line = str(fault)
        if fault.kind == "skew":
            before = off.get(fault.target, 0)
            off[fault.target] = before + fault.lasts
            if before:
                line += f"   now {shown(off[fault.target])} off in all"
        lines.append(line)
    return lines

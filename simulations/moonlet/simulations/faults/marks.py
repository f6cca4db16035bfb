"""The marks of the code in a run: which rare turns are taken, and which places were come to.

As in FoundationDB a turn is armed in one run of four, or what it does would be in all runs; then it
is taken one time in four. Each is a fault as any other, `buggify`: it is drawn by the profile's
regime, stands in the plan, and is taken away when a failure is shrunk.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from moonlet.simulations.faults.plan import Plan
from moonlet.simulations.loop import SimLoop, current_node
from moonlet.simulations.seed import MILLION, Seed, within

KINDS: Final = ("buggify",)
ARMED: Final = MILLION // 4
"""Of a million runs, those in which a turn may be taken."""

TAKEN: Final = MILLION // 4
"""Of a million times that it is asked for then, those in which it is."""

YES: Final = 0
NO: Final = (1 << 64) - 1
"""Chances with which a plan that has a rate says yes, and no."""

OWN: Final = "moonlet.core.marks"

Listened = list[tuple[str, str, int, tuple[str, ...], int]]

_REACHED: Final = re.compile(r"""\breached\(\s*(['"])(.+?)\1\s*\)""")


class Marks:
    """See `moonlet.core.marks.Observer`. `asked`, if it is a list, takes all that could be hit."""

    def __init__(self, loop: SimLoop, seed: Seed, plan: Plan) -> None:
        self._loop = loop
        self._seed = seed
        self._plan = plan
        self._armed: dict[str, bool] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self.places: Counter[str] = Counter()
        self.asked: Listened | None = None

    def buggify(self, name: str) -> bool:
        """Whether the turn is taken; asked outside of all processes it never is."""
        node = current_node()
        if node is None or self._plan.over:
            return False
        key = node.name, name
        attempt = self._asked[key]
        self._asked[key] += 1
        now = self._loop.now_ns
        if self.asked is not None:
            self.asked.append((*key, attempt, KINDS, now))
        if not self._plan.is_given and not self._is_armed(name):
            return False
        drawn = within(self._seed.keyed(f"{node.name}!", name, attempt), MILLION)
        chance = YES if drawn < TAKEN else NO
        fault = self._plan.verdict(KINDS, *key, attempt, chance, now)
        if fault is not None:
            self._loop.trace.event(now, node.name, "fault", fault.kind, name, attempt)
        return fault is not None

    def reached(self, name: str) -> None:
        """Count it."""
        self.places[name] += 1

    def _is_armed(self, name: str) -> bool:
        armed = self._armed.get(name)
        if armed is None:
            chance = within(self._seed.keyed("buggify", name), MILLION)
            armed = self._armed[name] = chance < ARMED
        return armed


def declared(*prefixes: str) -> set[str]:
    """The names of all `reached(...)` in the sources of loaded modules that begin so."""
    found: set[str] = set()
    for name, module in sorted(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name == OWN or not source or not source.endswith(".py"):
            continue
        if name.startswith(prefixes):
            found |= {match[1] for match in _REACHED.findall(Path(source).read_text("utf-8"))}
    return found

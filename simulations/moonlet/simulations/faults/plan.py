"""Which faults hit a run: drawn from the profile, or given; and which of them really fired.

A verdict on a message depends on the seed, the link, the message and its try alone. So to take
one fault away moves no other, and the list of what fired, given as a plan, is the same run.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from moonlet.simulations.faults.kinds import HANDLERS, HOSTS, WIRE, Fault
from moonlet.simulations.faults.profile import Profile
from moonlet.simulations.seed import MILLION, Dice, Seed, within

MS: Final = 1_000_000
DELAYS: Final = (5 * MS, 50 * MS, 600 * MS, 1_500 * MS, 5_500 * MS)
"""The last is longer than any publish waits for its answer."""

LASTING: Final = (20 * MS, 100 * MS, 500 * MS, 1_500 * MS, 4_000 * MS)
HOURS: Final = 3 * 3_600_000 * MS
SKEWS: Final = (-HOURS, -10_000 * MS, -700 * MS, 700 * MS, 10_000 * MS, HOURS)
DRIFTS: Final = (-50_000, -200, 200, 50_000)
"""Parts in a million; the large ones are five per cent."""

WORLD_FAULTS: Final = 40
"""How many faults of one kind a rate of a million would plan in a run."""

_CHANCE_BITS: Final = 20
_FEW: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1


class Plan:
    """Decides on messages as they are sent, and lists the other faults in advance.

    `given` replaces all chance. `armed` counts kinds that could have fired, `hits` are the faults
    whose moment came, in order; `missed` are those of them that found nothing to hit, say a host
    that was down already. `over`: nothing fires any more.
    """

    def __init__(self, seed: Seed, profile: Profile, given: Sequence[Fault] | None = None) -> None:
        self._seed = seed
        self._profile = profile
        self.hits: list[Fault] = []
        self.missed: list[Fault] = []
        self.armed: dict[str, int] = {}
        self.over = True
        self._given: dict[tuple[str, str, int], list[Fault]] | None = None
        self._listed: list[Fault] = []
        self._ambushes: list[tuple[int, str]] = []
        self._thresholds: dict[tuple[str, ...], list[tuple[int, str]]] = {}
        if given is not None:
            self._given = {}
            for fault in given:
                self._arm(fault.kind)
                if fault.kind in WIRE:
                    where = fault.target, fault.key, fault.attempt
                    self._given.setdefault(where, []).append(fault)
                else:
                    self._listed.append(fault)

    @property
    def is_given(self) -> bool:
        """Whether the faults are listed, and none is left to chance."""
        return self._given is not None

    @property
    def fired(self) -> dict[str, int]:
        """Faults that hit something, by kind."""
        found = Counter(fault.kind for fault in self.hits)
        found.subtract(fault.kind for fault in self.missed)
        return {kind: count for kind, count in found.items() if count}

    def _arm(self, kind: str) -> None:
        self.armed[kind] = self.armed.get(kind, 0) + 1

    def begin(self, now_ns: int, horizon_ns: int, hosts: Sequence[str]) -> list[Fault]:
        """Let faults begin; returns those of hosts and of the server, by time from now."""
        self.over = False
        if self._given is not None:
            return sorted(self._listed)
        found: list[Fault] = []
        for kind, rate in self._profile.rates.items():
            dice = self._seed.dice(f"faults/{kind}")
            if kind in WIRE:
                self._arm(kind)
                if not rate:
                    self._ambushes.append((now_ns + _moment(dice, horizon_ns), kind))
                continue
            for _ in range(dice.between(1, max(1, rate * WORLD_FAULTS // MILLION))):
                at = _moment(dice, horizon_ns)
                target = dice.pick(hosts) if kind in HOSTS or kind in HANDLERS else "nats"
                found.append(Fault(at=at, kind=kind, target=target, lasts=_lasts(kind, dice)))
                self._arm(kind)
        self._ambushes.sort()
        return sorted(found)

    def strikes(self, fault: Fault) -> bool:
        """Whether a fault that `begin` listed strikes, now that its moment came."""
        return True

    def is_last(self) -> bool:
        """Whether the process ends with this run, so that nothing need be tidied up."""
        return False

    def note(self, fault: Fault, *, hit: bool) -> None:
        """A fault's moment came."""
        self.hits.append(fault)
        if not hit:
            self.missed.append(fault)

    def verdict(
        self, kinds: tuple[str, ...], node: str, key: str, attempt: int, chance: int, now_ns: int
    ) -> Fault | None:
        """What happens to a message that `kinds` may hit; `chance` is its own, 64 bits."""
        if self.over:
            return None
        found: Fault | None = None
        if self._given is not None:
            for fault in self._given.get((node, key, attempt), ()):
                if fault.kind in kinds:
                    found = fault
        elif self._profile.rates:
            kind = self._drawn(kinds, chance, now_ns)
            if kind:
                lasts = 0
                if kind in _LATE:
                    lasts = DELAYS[within(chance * _FEW & _WORD, len(DELAYS))]
                found = Fault(kind=kind, target=node, lasts=lasts, key=key, attempt=attempt)
        if found is not None:
            self.hits.append(found)
        return found

    def _drawn(self, kinds: tuple[str, ...], chance: int, now_ns: int) -> str:
        if self._ambushes and self._ambushes[0][0] <= now_ns and self._ambushes[0][1] in kinds:
            return self._ambushes.pop(0)[1]
        steps = self._thresholds.get(kinds)
        if steps is None:
            steps = self._thresholds[kinds] = self._steps(kinds)
        drawn = within(chance << _CHANCE_BITS & _WORD, MILLION)
        for below, kind in steps:
            if drawn < below:
                return kind
        return ""

    def _steps(self, kinds: tuple[str, ...]) -> list[tuple[int, str]]:
        """The kinds of one message share a million: (upper bound, kind)."""
        steps = []
        below = 0
        for kind in kinds:
            rate = self._profile.rates.get(kind, 0)
            if rate:
                below += rate // len(kinds)
                steps.append((below, kind))
        return steps


_LATE: Final = frozenset({"delay_request", "delay_reply", "delay_delivery", "reorder"})


def _moment(dice: Dice, horizon_ns: int) -> int:
    return dice.below(max(1, horizon_ns // MS)) * MS


def _lasts(kind: str, dice: Dice) -> int:
    if kind == "skew":
        return dice.pick(SKEWS)
    if kind == "drift":
        return dice.pick(DRIFTS)
    if kind == "power_loss":
        return dice.between(1, 5)
    return dice.pick(LASTING)

"""What this host leaves to newer code: types of which it can't read something, and others can.

Hosts of one type run different code while one version takes the place of another. Which is newer
says the application's version, as it stands in the leases.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from moonlet.core.marks import reached
from moonlet.core.ports import Clock
from moonlet.streams import HostLease

FRESH: Final = 1.0
"""Seconds for which a look at the leases is taken for what is."""


class NewerCode:
    """One host's. `look_now` is called when the leases have to be read at once."""

    def __init__(self, clock: Clock, alarm: Callable[..., None]) -> None:
        self._clock = clock
        self._alarm = alarm
        self._versions: Callable[[], Mapping[str, str]] = dict
        self._look_now: Callable[[], None] = lambda: None
        self._newer: dict[str, str] = {}
        self._left: set[str] = set()
        self._unread: set[str] = set()
        self._told: set[str] = set()
        self._looked = -math.inf

    def begin(
        self, versions: Callable[[], Mapping[str, str]], look_now: Callable[[], None]
    ) -> None:
        """Go by these versions of the host's types; those without one it leaves to nobody."""
        self._versions, self._look_now = versions, look_now

    @property
    def left(self) -> list[str]:
        """The types that this host leaves to others, sorted."""
        return sorted(self._left)

    def saw(self, host: str, hosts: Sequence[HostLease], since: float) -> bool:
        """The leases were read, since when by our clock; whether `left` must be told to others.

        What was left comes back when nobody lives any more who is newer.
        """
        self._looked = since
        own, newer = self._versions(), dict[str, str]()
        for lease in hosts:
            for type_ in set(lease.types).intersection(own) - set(lease.leaves):
                version = lease.versions.get(type_, "")
                if lease.host != host and is_newer(version, newer.get(type_, own[type_])):
                    newer[type_] = version
        self._newer = newer
        self._left = {type_ for type_ in self._left | self._unread if type_ in newer}
        told, self._told = self._told, set(self._left)
        return told != self._left

    def is_to_have(self, type_: str, what: str, *, stored: bool = False) -> bool:
        """Whether others are to have `what` of a type, which this code can't read.

        True also as long as that is not known: ask again. `stored`: it stands in a journal, so
        that it is left to whoever comes later, too.
        """
        own = self._versions().get(type_)
        if own is None:
            return False
        newer = self._newer.get(type_)
        if newer is not None:
            if type_ not in self._left:
                reached("what a host can't read is left to newer code")
                self._left.add(type_)
                self._alarm(
                    "a type is left to hosts with newer code",
                    type=type_, version=own, newer=newer, why=what,
                )  # fmt: skip
                self._look_now()
            return True
        if self._clock.monotonic() - self._looked < FRESH:
            if stored:
                self._unread.add(type_)
            return False
        self._look_now()
        return True


def is_newer(version: str, other: str) -> bool:
    """Whether a version is above another, by the numbers that both begin with."""
    mine, theirs = _numbers(version), _numbers(other)
    return bool(mine and theirs) and mine > theirs


def _numbers(version: str) -> list[int]:
    found = re.match(r"v?([0-9]{1,9}(?:\.[0-9]{1,9})*)", version)
    numbers = [int(part) for part in found[1].split(".")] if found is not None else []
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()  # 1.0 is 1
    return numbers

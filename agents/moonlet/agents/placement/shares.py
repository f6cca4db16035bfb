"""Which partitions a host should own: an even share, decided by each host for itself.

Pure. Hosts that see the same leases come to the same shares; where they don't, compare-and-set
lets one of them have the partition. A host whose clock is off, or that leaves a type to newer code,
has a share of it only while no other runs it. Types of one pool that the same hosts run are dealt
together: partition 2 of all of them goes to one host, so that one consumer can serve them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from moonlet.core.ids import partition_of
from moonlet.streams import Home, HostLease, Partition

Place = tuple[str, int]
"""An agent type and the number of one of its partitions."""


class Move(NamedTuple):
    """What a host should do now: partitions to claim, over their records, and to hand over.

    `leave` are records that name it as the owner though it isn't, of what it has no share in: a
    claim that failed half way, a hand-over that could not be written. Nobody else would take them.
    `short` is how many partitions it should own and can't have yet: they are others'.
    """

    claim: list[Partition]
    release: list[Place]
    leave: list[Partition]
    short: int = 0

    @property
    def settled(self) -> bool:
        """Whether all is as it should be."""
        return not (self.claim or self.release or self.leave or self.short)


def plan_moves(
    host: str,
    types: Mapping[str, Home],
    hosts: Sequence[HostLease],
    records: Mapping[Place, Partition],
    owned: Iterable[Place],
) -> Move:
    """The moves of `host`, which runs `types` and owns `owned`."""
    moves = Move([], [], [])
    short = 0
    mine = frozenset(owned)
    for group in _groups(host, types, hosts):
        short += group.deal(records, mine, moves)
    return moves._replace(short=short)


class _Group(NamedTuple):
    """Types of one pool that the same hosts run: each number of theirs is dealt as one.

    It is dealt to `runners`; what others who are `living` have is theirs until they release it.
    """

    host: str
    pool: str
    partitions: int
    runners: tuple[str, ...]
    living: frozenset[str]
    types: list[str]

    def deal(self, records: Mapping[Place, Partition], mine: frozenset[Place], moves: Move) -> int:
        """Add this group's moves; returns how many of its numbers are still others'."""
        share = 0
        if self.host in self.runners:
            share = _share(self.pool, self.partitions, self.runners, self.host)
        kept: list[int] = []
        free: list[int] = []
        for number in range(self.partitions):
            here = [type_ for type_ in self.types if (type_, number) in mine]
            owners = self._owners(records, mine, number)
            if here and _prevails(self.host, len(here), owners) and len(kept) < share:
                kept.append(number)
            elif here:
                moves.release.extend((type_, number) for type_ in here)
            elif not owners:
                free.append(number)
        wanted = max(0, share - len(kept))
        for number in (*kept, *free[:wanted]):
            moves.claim.extend(self._claimable(records, mine, number))
        for number in free[wanted:]:
            left = (records.get((type_, number)) for type_ in self.types)
            moves.leave.extend(r for r in left if r is not None and r.owner == self.host)
        split = sum(1 for number in kept if self._owners(records, mine, number))
        return split + max(0, wanted - len(free))

    def _owners(
        self, records: Mapping[Place, Partition], mine: frozenset[Place], number: int
    ) -> "Counter[str]":
        """The other living owners of this number, and how many of the types each has."""
        others = (
            records.get((type_, number)) for type_ in self.types if (type_, number) not in mine
        )
        return Counter(
            record.owner
            for record in others
            if record is not None and record.owner in self.living and record.owner != self.host
        )

    def _claimable(
        self, records: Mapping[Place, Partition], mine: frozenset[Place], number: int
    ) -> Iterable[Partition]:
        """What nobody who lives owns; our own record without ownership is a former life's."""
        for type_ in self.types:
            record = records.get((type_, number), Partition(type_, number))
            taken = record.owner in self.living and record.owner != self.host
            if (type_, number) not in mine and not taken:
                yield record


def _groups(host: str, types: Mapping[str, Home], hosts: Sequence[HostLease]) -> list[_Group]:
    """The groups in order of their first type."""
    runners: dict[str, set[str]] = {type_: {host} for type_ in types}
    for lease in hosts:
        for type_ in lease.types:
            if type_ in runners:
                runners[type_].add(lease.host)
    off = {lease.host for lease in hosts if lease.clock_off}
    leave = {(lease.host, type_) for lease in hosts for type_ in lease.leaves}
    groups: dict[tuple[str, int, frozenset[str], tuple[str, ...]], _Group] = {}
    for type_, home in types.items():
        pool, living = home.pool or type_, frozenset(runners[type_])
        stay = {runner for runner in living if (runner, type_) not in leave} or living
        who = tuple(sorted(stay - off or stay))
        key = pool, home.partitions, living, who
        group = groups.setdefault(key, _Group(host, pool, home.partitions, who, living, []))
        group.types.append(type_)
    return list(groups.values())


def _prevails(host: str, types: int, owners: "Counter[str]") -> bool:
    """Whether a number that was split stays with `host`: with who has most of it, then by name."""
    return all((types, other) > (theirs, host) for other, theirs in owners.items())


def _share(pool: str, partitions: int, runners: Sequence[str], host: str) -> int:
    """How many a host should have: the remainders of the pools fall on different hosts."""
    rank = (runners.index(host) + partition_of(pool, len(runners))) % len(runners)
    return partitions // len(runners) + (rank < partitions % len(runners))

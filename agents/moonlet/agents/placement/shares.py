"""Which partitions a host should own: an even share, decided by each host for itself.

Pure. Hosts that see the same leases come to the same shares; where they don't, compare-and-set
lets one of them have the partition.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from moonlet.core.ids import partition_of
from moonlet.streams import HostLease, Partition


class Move(NamedTuple):
    """What a host should do now: partitions to claim, over their records, and to hand over.

    `leave` are records that name it as the owner though it isn't, of what it has no share in: a
    claim that failed half way, a hand-over that could not be written. Nobody else would take them.
    `short` is how many partitions it should own and can't have yet: they are others'.
    """

    claim: list[Partition]
    release: list[tuple[str, int]]
    leave: list[Partition]
    short: int = 0

    @property
    def settled(self) -> bool:
        """Whether all is as it should be."""
        return not (self.claim or self.release or self.leave or self.short)


def plan_moves(
    host: str,
    types: Mapping[str, int],
    hosts: Sequence[HostLease],
    records: Mapping[tuple[str, int], Partition],
    owned: Sequence[tuple[str, int]],
) -> Move:
    """The moves of `host`, which runs `types` (name → partitions) and owns `owned`."""
    claim: list[Partition] = []
    release: list[tuple[str, int]] = []
    leave: list[Partition] = []
    short = 0
    for type_, count in types.items():
        runners = sorted({lease.host for lease in hosts if type_ in lease.types} | {host})
        share = _share(type_, count, runners, host)
        mine = sorted(number for t, number in owned if t == type_)
        release += [(type_, number) for number in mine[share:]]
        free = [
            records.get((type_, number), Partition(type_, number))
            for number in range(count)
            if number not in mine and not _is_owned(records.get((type_, number)), runners, host)
        ]
        wanted = max(0, share - len(mine))
        claim += free[:wanted]
        short += max(0, wanted - len(free))
        leave += [record for record in free[wanted:] if record.owner == host]
    return Move(claim, release, leave, short)


def _is_owned(record: Partition | None, runners: list[str], host: str) -> bool:
    """Whether another living host owns it; our own record without ownership is a former life's."""
    return record is not None and record.owner in runners and record.owner != host


def _share(type: str, partitions: int, runners: list[str], host: str) -> int:
    """How many a host should have: the remainders of the types fall on different hosts."""
    rank = (runners.index(host) + partition_of(type, len(runners))) % len(runners)
    return partitions // len(runners) + (rank < partitions % len(runners))

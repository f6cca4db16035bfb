"""A host that lost its lease and lives on is no crashed one: nothing is held against its commands.

The lease is lost as on a busy machine: the server forgets it while the host goes on.
"""

from moonlet.agents import AgentType, Client, Host, connect
from moonlet.streams import Bucket, Partition
from moonlet.streams.buckets.leases import Leases
from moonlet.streams.server.server_process import ServerProcess
from tests.faulty import FaultyMoon
from tests.streams.support import eventually

ledger = AgentType("ledger", dict, partitions=2)


async def _lose_lease(moon: Client, host: Host) -> None:
    """Have the server forget the lease, and wait until the host owns all again as a newcomer."""
    before = host.id
    bus = moon.bus
    await Bucket(bus, bus.topology.bucket("leases")).delete(f"host.{before}")
    await eventually(lambda: host.id != before and len(host.partitions) == 2)


async def _records(moon: Client) -> list[Partition]:
    return list((await Leases(moon.bus, 1).partitions()).values())


async def test_a_host_that_lost_its_lease_counts_no_crash_against_itself(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url) as moon, Host(moon, [ledger], lease=1) as host:
        for _ in range(3):
            await _lose_lease(moon, host)
        records = await _records(moon)
        assert [record.owner for record in records] == [host.id, host.id]
        assert [(record.crashes, record.note) for record in records] == [(0, ""), (0, "")]


async def test_what_it_had_noted_is_not_taken_for_the_command_that_killed_it(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url) as moon, Host(moon, [ledger], lease=1) as host:
        partition = host.partition("ledger", 1)
        assert partition is not None
        await partition.note("moon-mailboxes:7")
        await _lose_lease(moon, host)
        assert [record.note for record in await _records(moon)] == ["", ""]


async def test_a_partition_that_is_lost_while_all_are_dropped_harms_nothing(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url) as moon, Host(moon, [ledger], lease=1) as host:
        first, second = (host.partition("ledger", number) for number in (0, 1))
        assert first is not None and second is not None
        close = first.close

        async def meet_another_owner(*, hand_over: bool) -> None:
            host._ownership._lost_partition(second)
            await close(hand_over=hand_over)

        first.close = meet_another_owner  # type: ignore[method-assign]
        await _lose_lease(moon, host)
        assert (first.closed, second.closed) == (True, True)


async def test_a_renewal_whose_answer_is_lost_costs_no_partition(
    own_server: ServerProcess, name: str
) -> None:
    async with (
        FaultyMoon(own_server.url, name) as (moon, faults),
        Host(moon, [ledger], lease=3) as host,
    ):
        before, partition = host.id, host.partition("ledger", 0)
        lost: list[str] = []

        def publishing(subject: str, data: bytes) -> str:
            if ".host." not in subject or lost:
                return "pass"
            lost.append(subject)
            return "lose ack"

        faults.publishing = publishing
        await eventually(lambda: bool(lost))
        renewed = host._revision
        await eventually(lambda: host._revision > renewed)
        assert host.id == before and host.partition("ledger", 0) is partition

"""A consumer that another program made on our queues is named and removed."""

import pytest

from moonlet.agents import Host, connect
from moonlet.streams import Topology, apply_topology
from moonlet.streams.reading.foreign_consumers import _overlap
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type


@pytest.mark.parametrize("queue", ["mailboxes", "internal", "timers"])
async def test_a_foreign_consumer_on_a_queue_does_not_keep_hosts_from_their_work(
    shared_server: ServerProcess, name: str, queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        await apply_topology(moon.bus)
        js, stream = moon.bus._js, topology.stream(queue)
        kept = {"name": "beside", "durable_name": "beside", "ack_policy": "explicit"}
        await js.create_consumer(stream, {**kept, "filter_subject": f"{name}.elsewhere.>"})
        family = {"mailboxes": "cmd", "internal": "in", "timers": "fire"}[queue]
        all_of_it = {"name": "thief", "durable_name": "thief", "ack_policy": "explicit"}
        await js.create_consumer(stream, {**all_of_it, "filter_subject": f"{name}.{family}.>"})
        async with Host(moon, [account_type()]):
            assert await moon.ask("account/a", Deposit(1), timeout=20) == 1
            names = await js.consumer_names(stream)
            assert "thief" not in names and "beside" in names
    said = capsys.readouterr().err
    assert "foreign consumer" in said and "thief" in said


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("a.b.*", "a.>", True),
        ("a.b.*", "a.b.c", True),
        ("a.b.*", "a.c.*", False),
        ("a.b", "a.b.c", False),
        ("a.b", ">", True),
    ],
)
def test_filters_overlap_if_a_subject_may_match_both(one: str, other: str, both: bool) -> None:
    assert _overlap(one, other) is _overlap(other, one) is both

"""What hostile bytes can't do on the subject where replicas take orders, and in the registry."""

import json
from pathlib import Path
from typing import Any

import pytest

from moonlet.core.errors import Corrupt
from moonlet.projections import Replica, Roster, Status, operate
from moonlet.projections.replica.control import MAX_ORDER, Refusal
from moonlet.streams import Bucket, Bus, Message
from tests.faulty import until_true
from tests.projections.authors import Opened, World, exposure_view
from tests.projections.test_replica_operations import write


async def outsider(world: World) -> Bus:
    """A connection of an operator's own, which knows no view's code."""
    return (await world.client()).bus


def subject_of(world: World, replica: Replica) -> str:
    return f"{world.topology.prefix}.view.{replica.view.name}.control.{replica.name}"


async def answer_to(world: World, replica: Replica, order: bytes) -> dict[str, Any]:
    """The raw answer to raw bytes."""
    bus = await outsider(world)
    message = await bus.request(subject_of(world, replica), order, timeout=5)
    answer: dict[str, Any] = json.loads(message.data)
    return answer


HOSTILE = {
    "nothing": b"",
    "no JSON": b"\x00rubbish",
    "no text": b'{"action": "\xff"}',
    "half": b'{"action": "pau',
    "a number": b"7",
    "a list": b'["pause"]',
    "null": b"null",
    "no action": b"{}",
    "another action": b'{"action": "delete"}',
    "a number for an action": b'{"action": 1}',
    "a field too many": b'{"action": "pause", "force": true}',
    "negative": b'{"action": "seek", "to": {"us": -1}}',
    "a fraction": b'{"action": "seek", "to": {"us": 1.5}}',
    "a text for a number": b'{"action": "seek", "to": {"us": "1"}}',
    "no seconds": b'{"action": "seek", "seconds": 0}',
    "days": b'{"action": "seek", "seconds": 1e9}',
    "NaN": b'{"action": "seek", "seconds": NaN}',
    "deep": b'{"action":' * 20_000 + b"1" + b"}" * 20_000,
    "large": b'{"action": "pause", "to": {' + b" " * MAX_ORDER + b"}}",
}


@pytest.mark.parametrize("order", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_is_no_order_is_refused_and_changes_nothing(
    world: World, tmp_path: Path, order: bytes
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        token = await write(world, Opened("a", 1))
        answer = await answer_to(world, replica, order)
        assert (answer["answer"], answer["error"]) == ("refusal", "Invalid"), answer
        assert not replica.paused
        await replica.wait_for(token)


async def test_an_answer_is_never_stored_in_a_stream_of_ours(world: World, tmp_path: Path) -> None:
    """Who may only ask replicas can't have them write to a journal, by naming it for the answer."""
    stranger = await outsider(world)
    prefix = world.topology.prefix
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        token = await write(world, Opened("a", 1))
        await replica.wait_for(token)
        tasks = replica._lifecycle.tasks
        assert tasks is not None
        for asked in (subject_of(world, replica), f"{prefix}.view.exposure.{tasks.exchange.name}"):
            for reply in (f"{prefix}.evt.us.a", f"{prefix}.cmd.us.0.high.a", "$KV.registry.x"):
                stranger.post(asked, b'{"action": "status"}', reply=reply)
        # What came after those was answered, so those were heard.
        assert (await operate(stranger, "exposure", replica.name, "status")).standing == "running"
        info = await world.js.stream_info(world.stream("us"))
        assert info is not None and info["state"]["last_seq"] == token.at(world.stream("us"))


async def test_nobody_is_answered_who_does_not_ask(world: World, tmp_path: Path) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        bus = await outsider(world)
        bus.post(subject_of(world, replica), b'{"action": "pause"}')
        assert (await operate(bus, "exposure", replica.name, "status")).standing == "running"


async def test_an_answer_that_is_too_large_is_a_refusal(world: World, tmp_path: Path) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        status = replica._lifecycle.status()
        huge = tuple("x" * 1_000 for _ in range(2_000))
        replica._control._status = lambda: Status(
            status.replica, "exposure", 1, "running", {}, {}, skipped=huge
        )
        answer = await answer_to(world, replica, b'{"action": "status"}')
        assert (answer["error"], Refusal("LimitExceeded", "").error) == ("LimitExceeded",) * 2


async def test_an_answer_of_another_kind_is_told(world: World, tmp_path: Path) -> None:
    bus = await outsider(world)
    for answer in (b"\xff\xfe", b"{}", b'{"answer": "other"}', b'{"answer": "status"}'):
        subject = f"{world.topology.prefix}.view.exposure.control.odd"

        def say(message: Message, answer: bytes = answer) -> None:
            world.js.post(message.reply, answer)

        subscription = await world.js.subscribe(subject, say)
        with pytest.raises(Corrupt, match="one version of Moonlet"):
            await operate(bus, "exposure", "odd", "status")
        await subscription.unsubscribe()


async def test_registry_entries_that_no_replica_wrote_are_passed_over(
    world: World, tmp_path: Path
) -> None:
    bucket = Bucket(world.moon.bus, world.topology.bucket("registry"))
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await until_true(lambda: _is_enrolled(world, replica))
        for key, value in (("a", b"\x00"), ("b", b"{}"), ("c", b"[]"), ("d", b"null")):
            await bucket.put(f"view.exposure.{key}", value)
        entry = await bucket.get(f"view.exposure.{replica.name}")
        assert entry is not None
        await bucket.put("view.exposure.other", entry.value)  # said in another's name
        (found,) = await Roster(world.moon.bus).replicas()
        assert found.replica == replica.name


async def _is_enrolled(world: World, replica: Replica) -> bool:
    found = await Roster(world.moon.bus).replicas("exposure")
    return [entry.replica for entry in found] == [replica.name]

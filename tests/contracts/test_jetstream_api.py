"""The contract of `JetStream`: core NATS and publishing to streams."""

import asyncio

import pytest

from moonlet.core.errors import Invalid, PayloadTooLarge
from moonlet.streams.api import JetStream, Message, NoAnswer, NoResponders, ServerRefused
from tests.contracts.jetstream_support import (
    EXPECTED,
    EXPECTED_SUBJECT,
    MESSAGE_ID,
    eventually,
    journal,
    mailboxes,
    publish,
)


async def test_the_server_tells_its_version_and_limits(js: JetStream) -> None:
    info = await js.server_info()
    assert tuple(map(int, info["version"].split(".")[:2])) >= (2, 12)
    assert info["jetstream"] is True
    assert info["max_payload"] == js.max_payload
    assert 0 <= info["rtt"] < 5
    assert js.connected
    assert js.description


async def test_a_posted_message_reaches_each_subscriber_in_order(js: JetStream, name: str) -> None:
    got: list[Message] = []
    await js.subscribe(f"{name}.*", got.append)
    js.post(f"{name}.a", b"1", headers={"K": "v", "Other": "w x"}, reply=f"{name}.r")
    js.post(f"{name}.b", b"2")
    await eventually(lambda: len(got) == 2)
    assert got[0].subject == f"{name}.a"
    assert (got[0].data, got[0].reply) == (b"1", f"{name}.r")
    assert dict(got[0].headers or {}) == {"K": "v", "Other": "w x"}
    assert (got[1].subject, got[1].data, got[1].headers) == (f"{name}.b", b"2", None)


async def test_header_values_may_hold_any_text_but_line_breaks(js: JetStream, name: str) -> None:
    got: list[Message] = []
    await js.subscribe(name, got.append)
    js.post(name, b"", headers={"Text": "wäre: schön ☾", "Empty": ""})
    await eventually(lambda: len(got) == 1)
    assert dict(got[0].headers or {}) == {"Text": "wäre: schön ☾", "Empty": ""}
    with pytest.raises(Invalid, match="line break"):
        js.post(name, b"", headers={"Text": "a\r\nb"})
    with pytest.raises(Invalid, match="line break"):
        js.post(name, b"", headers={"Te\nxt": "a"})


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0", "a\tb"])
async def test_a_subject_with_a_space_or_line_break_is_refused(js: JetStream, subject: str) -> None:
    with pytest.raises(Invalid):
        js.post(subject, b"x")
    with pytest.raises(Invalid):
        await js.publish(subject, b"x", timeout=1)
    with pytest.raises(Invalid):
        await js.request(subject, b"x", timeout=1)


async def test_one_member_of_a_queue_group_gets_each_message(js: JetStream, name: str) -> None:
    first: list[Message] = []
    second: list[Message] = []
    await js.subscribe(name, first.append, queue="workers")
    await js.subscribe(name, second.append, queue="workers")
    for i in range(50):
        js.post(name, str(i).encode())
    await eventually(lambda: len(first) + len(second) >= 50)
    both = sorted(int(m.data) for m in first + second)
    assert both == list(range(50))


async def test_an_ended_subscription_gets_nothing_more(js: JetStream, name: str) -> None:
    ended: list[Message] = []
    witness: list[Message] = []
    subscription = await js.subscribe(name, ended.append)
    await js.subscribe(name, witness.append)
    await subscription.unsubscribe()
    await subscription.unsubscribe()
    js.post(name, b"x")
    await eventually(lambda: len(witness) == 1)
    assert ended == []


async def test_a_request_gets_its_answer(js: JetStream, name: str) -> None:
    def answer(message: Message) -> None:
        js.post(message.reply, b"<" + message.data + b">", headers={"From": "me"})

    await js.subscribe(name, answer)
    answers = await asyncio.gather(
        *(js.request(name, str(i).encode(), timeout=5) for i in range(20))
    )
    assert [a.data for a in answers] == [f"<{i}>".encode() for i in range(20)]
    assert dict(answers[0].headers or {}) == {"From": "me"}


async def test_a_request_to_nobody_has_no_responders(js: JetStream, name: str) -> None:
    with pytest.raises(NoResponders):
        await js.request(name, b"x", timeout=5)


async def test_a_request_that_nobody_answers_ends_with_its_timeout(
    js: JetStream, name: str
) -> None:
    await js.subscribe(name, lambda message: None)
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(NoAnswer):
        await js.request(name, b"x", timeout=0.2)
    assert 0.15 <= loop.time() - start < 1.0


async def test_inboxes_differ_and_can_be_subscribed(js: JetStream) -> None:
    inbox, other = js.new_inbox(), js.new_inbox()
    assert inbox != other
    got: list[Message] = []
    await js.subscribe(inbox, got.append)
    js.post(other, b"not mine")
    js.post(inbox, b"mine")
    await eventually(lambda: len(got) == 1)
    assert got[0].data == b"mine"


async def test_connections_to_one_server_see_each_other(js: JetStream, name: str, open_jetstream):  # type: ignore[no-untyped-def]
    other: JetStream = await open_jetstream()
    got: list[Message] = []
    await other.subscribe(name, got.append)
    js.post(name, b"hello")
    await eventually(lambda: len(got) == 1)


async def test_a_message_over_the_limit_is_refused_headers_counted(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    fits = b"x" * (js.max_payload - 100)
    with pytest.raises(PayloadTooLarge) as refusal:
        js.post(f"{name}.evt.a", fits, headers={"K": "v" * 100})
    assert refusal.value.limit == js.max_payload
    assert refusal.value.value > js.max_payload
    with pytest.raises(PayloadTooLarge):
        await js.publish(f"{name}.evt.a", fits, headers={"K": "v" * 100}, timeout=5)
    with pytest.raises(PayloadTooLarge):
        await js.request(f"{name}.evt.a", b"x" * (js.max_payload + 1), timeout=5)
    assert (await js.publish(f"{name}.evt.a", fits, headers={"K": "v"}, timeout=5)).sequence == 1


async def test_a_published_message_is_stored_with_the_next_sequence(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    first = await js.publish(f"{name}.evt.a", b"one", headers={"K": "v"}, timeout=5)
    second = await js.publish(f"{name}.evt.b", b"", timeout=5)
    assert (first.stream, first.sequence, first.duplicate) == (name, 1, False)
    assert second.sequence == 2
    stored = await js.message(name, 1)
    assert stored is not None
    assert (stored.subject, stored.sequence, stored.data) == (f"{name}.evt.a", 1, b"one")
    assert dict(stored.headers or {}) == {"K": "v"}
    empty = await js.message(name, 2)
    assert empty is not None
    assert (empty.data, empty.headers) == (b"", None)
    assert empty.time >= stored.time > 1_600_000_000 * 10**9


async def test_publishes_sent_together_are_stored_in_order(js: JetStream, name: str) -> None:
    await journal(js, name)
    futures = [js.publish(f"{name}.evt.a", b"%d" % i, timeout=5) for i in range(100)]
    assert [(await future).sequence for future in futures] == list(range(1, 101))


async def test_a_publish_to_no_stream_has_no_responders(js: JetStream, name: str) -> None:
    with pytest.raises(NoResponders):
        await js.publish(name, b"x", timeout=5)


async def test_the_second_of_two_with_one_expectation_conflicts(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.other")
    first = js.publish(f"{name}.evt.a", b"1", headers={EXPECTED: "0"}, timeout=5)
    second = js.publish(f"{name}.evt.a", b"2", headers={EXPECTED: "0"}, timeout=5)
    assert (await first).sequence == 2
    with pytest.raises(ServerRefused, match="wrong last sequence: 2") as refusal:
        await second
    assert (refusal.value.code, refusal.value.err_code) == (400, 10071)
    assert refusal.value.description == "wrong last sequence: 2"
    assert (await publish(js, f"{name}.evt.a", **{EXPECTED: "2"})).sequence == 3


async def test_an_expectation_may_be_about_another_subject(js: JetStream, name: str) -> None:
    await journal(js, name)
    fence = await publish(js, f"{name}.evt.fence")
    headers = {EXPECTED: str(fence.sequence), EXPECTED_SUBJECT: f"{name}.evt.fence"}
    assert (await publish(js, f"{name}.evt.a", **headers)).sequence == 2
    await publish(js, f"{name}.evt.fence")
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.evt.a", **headers)
    assert refusal.value.err_code == 10071
    assert refusal.value.description == "wrong last sequence: 3"


async def test_a_message_id_is_stored_once(js: JetStream, name: str) -> None:
    await journal(js, name)
    first = await publish(js, f"{name}.evt.a", b"1", **{MESSAGE_ID: "id-1"})
    again = await publish(js, f"{name}.evt.a", b"1", **{MESSAGE_ID: "id-1"})
    assert (again.sequence, again.duplicate) == (first.sequence, True)
    elsewhere = await publish(js, f"{name}.evt.b", b"2", **{MESSAGE_ID: "id-1"})
    assert (elsewhere.sequence, elsewhere.duplicate) == (first.sequence, True)
    assert (await publish(js, f"{name}.evt.b", **{MESSAGE_ID: "id-2"})).sequence == 2


async def test_a_message_id_is_forgotten_after_the_window(js: JetStream, name: str) -> None:
    await journal(js, name, duplicate_window=100_000_000)
    await publish(js, f"{name}.evt.a", **{MESSAGE_ID: "id-1"})

    async def accepted_anew() -> bool:
        return not (await publish(js, f"{name}.evt.a", **{MESSAGE_ID: "id-1"})).duplicate

    await eventually(accepted_anew, timeout=5)


async def test_a_single_replica_judges_the_expectation_before_the_message_id(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    headers = {EXPECTED: "0", MESSAGE_ID: "id-1"}
    await publish(js, f"{name}.evt.a", **headers)
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.evt.a", **headers)
    assert refusal.value.err_code == 10071


async def test_a_wrong_expected_stream_is_refused(js: JetStream, name: str) -> None:
    await journal(js, name)
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.evt.a", Nats_Expected_Stream="other")
    assert (refusal.value.code, refusal.value.err_code) == (400, 10060)


async def test_a_full_mailbox_refuses_until_there_is_room(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    for _ in range(3):
        await publish(js, f"{name}.cmd.a")
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.cmd.a")
    assert (refusal.value.code, refusal.value.err_code) == (503, 10077)
    assert refusal.value.description == "maximum messages per subject exceeded"
    await publish(js, f"{name}.cmd.b")


async def test_a_full_stream_refuses(js: JetStream, name: str) -> None:
    await mailboxes(js, name, max_msgs=4, discard_new_per_subject=False, max_msgs_per_subject=-1)
    for i in range(4):
        await publish(js, f"{name}.cmd.{i}")
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.cmd.x")
    assert (refusal.value.code, refusal.value.err_code) == (503, 10077)
    assert refusal.value.description == "maximum messages exceeded"


async def test_a_stream_of_one_message_per_subject_keeps_the_last(js: JetStream, name: str) -> None:
    await js.create_stream({"name": name, "subjects": [f"{name}.>"], "max_msgs_per_subject": 1})
    await publish(js, f"{name}.a", b"1")
    await publish(js, f"{name}.b", b"2")
    await publish(js, f"{name}.a", b"3")
    last = await js.last_message(name, f"{name}.a")
    assert last is not None
    assert (last.sequence, last.data) == (3, b"3")
    assert await js.message(name, 1) is None


async def test_a_ttl_removes_the_message_and_frees_the_subject(js: JetStream, name: str) -> None:
    await js.create_stream(
        {
            "name": name,
            "subjects": [f"{name}.>"],
            "max_msgs_per_subject": 1,
            "allow_msg_ttl": True,
        }
    )
    held = await publish(js, f"{name}.lease", b"mine", Nats_TTL="1s")
    await publish(js, f"{name}.kept")
    renewed = await publish(
        js, f"{name}.lease", b"renewed", Nats_TTL="1s", **{EXPECTED: str(held.sequence)}
    )
    with pytest.raises(ServerRefused):
        await publish(js, f"{name}.lease", b"theirs", Nats_TTL="1s", **{EXPECTED: "0"})

    async def expired() -> bool:
        return await js.last_message(name, f"{name}.lease") is None

    assert not await expired()
    await eventually(expired, timeout=5)
    assert await js.message(name, renewed.sequence) is None
    taken = await publish(js, f"{name}.lease", b"theirs", Nats_TTL="5s", **{EXPECTED: "0"})
    assert taken.sequence == renewed.sequence + 1
    assert await js.last_message(name, f"{name}.kept") is not None


async def test_a_ttl_is_refused_where_it_is_not_allowed_or_too_short(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.evt.a", Nats_TTL="5s")
    assert (refusal.value.code, refusal.value.err_code) == (400, 10166)
    await js.create_stream({"name": f"{name}L", "subjects": [f"{name}.l"], "allow_msg_ttl": True})
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.l", Nats_TTL="500ms")
    assert (refusal.value.code, refusal.value.err_code) == (400, 10165)

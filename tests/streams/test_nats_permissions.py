"""What the server denies comes back as `PermissionDenied`, at once and with its own subject."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from moonlet.core.errors import PermissionDenied
from moonlet.streams.api import Outgoing, PullStatus
from moonlet.streams.nats import connection
from moonlet.streams.server.server_process import ServerProcess
from moonlet.streams.settings import Settings, from_url
from tests.streams.support import connected, eventually

USERS = """
authorization { users: [
    { user: admin, password: secret }
    { user: limited, password: secret, permissions: {
        publish: { deny: ["s.Denied.>", "denied", "$JS.API.CONSUMER.MSG.NEXT.S.c"] }
        subscribe: { deny: ["denied.>"] }
    } }
    { user: boxed, password: secret, permissions: {
        subscribe: { allow: ["_INBOX.boxed.>"] }
    } }
] }
"""


@pytest.fixture
def server(new_server: Callable[..., ServerProcess]) -> ServerProcess:
    return new_server(extra=USERS)


async def test_a_denied_publish_is_told_at_once(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        await js.create_stream({"name": "S", "subjects": ["s.>"]})
        loop = asyncio.get_running_loop()
        allowed = js.publish("s.denied.a", b"x", timeout=5)
        took = []
        for _ in range(3):  # the quickest of them: the machine may be busy
            start = loop.time()
            with pytest.raises(PermissionDenied, match=r"s\.Denied\.a") as denial:
                await js.publish("s.Denied.a", b"x", timeout=5)
            took.append(loop.time() - start)
            assert denial.value.subject == "s.Denied.a"
        assert min(took) < 0.2
        assert (await allowed).sequence == 1
        assert js.connected


async def test_all_publishes_to_a_denied_subject_are_told(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        await js.create_stream({"name": "S", "subjects": ["s.>"]})
        publishes = [js.publish("s.Denied.a", b"x", timeout=5) for _ in range(50)]
        for publish in publishes:
            with pytest.raises(PermissionDenied):
                await publish
        # The server's other 49 refusals find nobody waiting; nothing comes of them.
        assert (await js.publish("s.a", b"x", timeout=5)).sequence == 1


async def test_a_denied_request_is_told(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        with pytest.raises(PermissionDenied):
            await js.request("denied", b"x", timeout=5)


async def test_a_batch_with_a_denied_member_is_told_and_stores_nothing(
    server: ServerProcess,
) -> None:
    async with connected(server, "limited:secret") as js:
        await js.create_stream({"name": "S", "subjects": ["s.>"], "allow_atomic": True})
        for denied in range(3):
            members = [Outgoing(f"s.{i}", b"x", {}) for i in range(3)]
            members[denied] = Outgoing("s.Denied.a", b"x", {})
            with pytest.raises(PermissionDenied):
                await js.publish_batch(members, timeout=5)
        info = await js.stream_info("S")
        assert info is not None
        assert info["state"]["last_seq"] == 0


async def test_a_denied_subscription_is_told(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        for queue in ("", "workers"):
            with pytest.raises(PermissionDenied) as denial:
                await js.subscribe("denied.a", lambda message: None, queue=queue)
            assert denial.value.subject == "denied.a"
        await js.subscribe("allowed.a", lambda message: None)


async def test_a_denied_post_is_only_logged(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        with capture_logs() as logs:
            for _ in range(100):
                js.post("denied", b"x")
            await eventually(lambda: any(line.get("subject") == "denied" for line in logs))
            await js.server_info()
        assert len(logs) == 1  # at most one a second


async def test_a_denied_pull_ends_with_a_status(server: ServerProcess) -> None:
    async with connected(server, "limited:secret") as js:
        await js.create_stream({"name": "S", "subjects": ["s.>"]})
        await js.create_consumer("S", {"name": "c", "durable_name": "c", "ack_policy": "explicit"})
        statuses: list[PullStatus] = []
        pull = await js.open_pull("S", "c", lambda deliveries: None, statuses.append)
        pull.request(10, expires=30)
        await eventually(lambda: len(statuses) == 1)
        assert statuses[0].code == 403


async def test_a_user_without_an_inbox_is_told_at_the_opening(server: ServerProcess) -> None:
    url = server.url.replace("://", "://boxed:secret@")
    settings = from_url(url, "test")
    with pytest.raises(PermissionDenied, match="inbox_prefix"):
        await connection.open(settings)
    boxed = Settings(
        settings.servers, "test", user="boxed", password="secret", inbox_prefix="_INBOX.boxed"
    )
    js = await connection.open(boxed)
    assert js.new_inbox().startswith("_INBOX.boxed.")
    await js.close()

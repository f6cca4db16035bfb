"""Doctor and verify, on servers where something is wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from moonlet.agents import AgentType, Client, Host, connect
from moonlet.core.digest import DIGEST_HEADER, record_digest
from moonlet.core.ids import partition_of
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.console.support import Ended, invoke

USERS = """
accounts {
  APP {
    jetstream: enabled
    users: [
      {user: all, password: p}
      {user: client, password: p, permissions: {
        publish: {deny: ["moon.evt.>", "moon.snap.>"]}
      }}
    ]
  }
}
"""


ledger = AgentType("ledger", dict)


def findings(*options: str) -> tuple[Ended, dict[str, tuple[str, str]]]:
    """What doctor found: check → level and message."""
    ended = invoke("doctor", "--json", *options)
    return ended, {r["check"]: (r["level"], r["message"]) for r in ended.records}


def with_host(url: str, work: Callable[[Client], Awaitable[None]] | None = None) -> None:
    """Run a host for a moment, and `work` beside it."""

    async def main() -> None:
        async with connect(url) as moon, Host(moon, [ledger]):
            if work is not None:
                await work(moon)

    asyncio.run(main())


def test_a_fresh_folder_is_all_right(folder: Path) -> None:
    ended, found = findings()
    assert ended.code == 0
    assert {level for level, _ in found.values()} == {"OK"}
    assert "waits for the disk" in found["fsync"][1]
    assert list(found) == [
        "server", "jetstream", "fsync", "disk", "folder", "permissions", "streams", "replicas",
        "clock", "hosts", "journals", "foreign records", "foreign subjects",
        "foreign messages", "parked", "rust core",
    ]  # fmt: skip
    text = invoke("doctor").out
    assert "OK    server: nats-server 2." in text


def test_a_folder_that_others_can_read_is_a_warning(folder: Path) -> None:
    invoke("doctor")
    (folder / ".moonlet").chmod(0o755)
    ended, found = findings()
    assert (ended.code, found["folder"][0]) == (0, "WARN")
    assert "chmod 700" in invoke("doctor").out


def test_a_server_that_does_not_wait_for_the_disk_or_does_not_say_is_a_warning(
    own_server: ServerProcess, folder: Path
) -> None:
    ended, found = findings("--url", own_server.url)
    assert (ended.code, found["fsync"][0]) == (0, "WARN")


def test_no_server_is_a_failure_with_its_own_exit_code() -> None:
    ended, found = findings("--url", "nats://127.0.0.1:1")
    assert ended.code == 69
    assert found["server"][0] == "FAIL"


def test_a_user_who_may_not_write_the_journal_is_told_which_subjects(
    new_server: Callable[..., ServerProcess], folder: Path
) -> None:
    server = new_server(extra=USERS)
    url = server.url.replace("://", "://all:p@")
    with_host(url)
    assert findings("--url", url)[1]["permissions"][0] == "OK"
    ended, found = findings("--url", server.url.replace("://", "://client:p@"))
    assert ended.code == 1
    assert found["permissions"] == (
        "FAIL",
        "may not publish to moon.evt.doctor.doctor, moon.snap.doctor.doctor",
    )


def test_types_that_nobody_runs_are_a_warning(own_server: ServerProcess, folder: Path) -> None:
    with_host(own_server.url)
    ended, found = findings("--url", own_server.url)
    assert ended.code == 0
    assert found["hosts"] == ("WARN", "0 hosts here, for 0 of 1 agent type")
    assert "start a host for ledger" in invoke("doctor", "--url", own_server.url).out


def test_what_others_published_is_found(own_server: ServerProcess, folder: Path) -> None:
    with_host(own_server.url)

    async def publish() -> None:
        async with connect(own_server.url) as moon:
            for subject in (
                "moon.evt.ledger",
                "moon.evt.ledger.main",
                "moon.cmd.ledger.0.medium.ledger.no-such-partition",
                "moon.cmd.ledger.3.medium.ledger.main",
                "moon.in.ghost.0.low.main",
            ):
                await moon.bus.publish(subject, b"hello", timeout=5)

    asyncio.run(publish())
    ended, found = findings("--url", own_server.url)
    assert ended.code == 1
    level, said = found["foreign subjects"]
    assert level == "WARN"
    assert "moon.evt.ledger in moon-journal-main" in said
    assert "moon.in.ghost.0.low.main in moon-internal" in said
    level, said = found["foreign messages"]
    assert level == "FAIL"
    assert "moon-journal-main 2 on moon.evt.ledger.main: no digest stands beside it" in said
    verified = invoke("verify", "--url", own_server.url, "--json")
    assert verified.code == 1
    assert [r["fault"]["kind"] for r in verified.records[:-1]] == ["foreign", "corrupt"]
    assert verified.records[-1]["faults"] == 2


def test_a_stream_that_was_reconfigured_is_a_failure(
    own_server: ServerProcess, folder: Path
) -> None:
    with_host(own_server.url)

    async def change() -> None:
        async with connect(own_server.url) as moon:
            name = Topology().stream("mailboxes")
            info = await moon.bus._js.stream_info(name)
            assert info is not None
            await moon.bus._js.update_stream({**info["config"], "max_age": 10**12})

    asyncio.run(change())
    ended, found = findings("--url", own_server.url)
    assert ended.code == 1
    level, said = found["streams"]
    assert level == "FAIL" and said.startswith("moon-mailboxes: max_age is")


def test_parked_commands_are_counted(own_server: ServerProcess, folder: Path) -> None:
    async def park(moon: Client) -> None:
        subject = f"moon.cmd.ledger.{partition_of('a', 4)}.medium.ledger.a"
        await moon.bus.publish(subject, b"hello", timeout=5)
        async for commit in moon.history("ledger/a", to=1, follow=True):
            assert commit.outcome == "parked"

    with_host(own_server.url, park)
    ended, found = findings("--url", own_server.url)
    assert ended.code == 0
    assert found["parked"] == ("WARN", "1 in all, of ledger/a")


def test_a_forged_commit_is_found_by_verify(own_server: ServerProcess, folder: Path) -> None:
    with_host(own_server.url)
    record = {
        "agent": "ledger/a", "revision": 5, "outcome": "accepted", "time": [1, 0],
        "command": {"id": "x", "name": "Nothing", "body": {}}, "previous_digest": "00",
    }  # fmt: skip
    data = json.dumps(record).encode()

    async def publish() -> None:
        async with connect(own_server.url) as moon:
            headers = {DIGEST_HEADER: record_digest(data)}
            await moon.bus.publish("moon.evt.ledger.a", data, headers=headers, timeout=5)

    asyncio.run(publish())
    ended = invoke("verify", "ledger/a", "--url", own_server.url)
    assert ended.code == 1
    assert "chain: ledger/a revision 1 (sequence 1)" in ended.out
    assert "revision 5 follows revision 0" in ended.out


def test_a_wrong_password_and_a_foreign_record_have_their_own_exit_codes(
    new_server: Callable[..., ServerProcess], folder: Path
) -> None:
    server = new_server(extra=USERS)
    url = server.url.replace("://", "://all:p@")
    with_host(url)

    async def publish() -> None:
        async with connect(url) as moon:
            await moon.bus.publish("moon.evt.ledger.main", b"hello", timeout=5)

    asyncio.run(publish())
    wrong = invoke("agents", "--url", server.url.replace("://", "://all:secret@"))
    assert wrong.code == 77
    assert "correct them (user all and its password)" in wrong.err
    assert "secret" not in wrong.err
    foreign = invoke("history", "ledger/main", "--url", url, "--json")
    assert foreign.code == 65
    told = json.loads(foreign.err)
    assert (told["error"], told["sequence"]) == ("Undecodable", 1)

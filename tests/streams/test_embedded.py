"""The embedded server: one per folder, and nothing left running, whatever ends its owner."""

import asyncio
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.streams.admin.fsync import sync_mode
from moonlet.streams.nats import connection
from moonlet.streams.nats.jetstream import NatsJetStream
from moonlet.streams.server import embedded
from moonlet.streams.server.server_process import ServerProcess, find_server
from moonlet.streams.settings import from_url
from tests.faulty import bus_over
from tests.streams.support import eventually

# Opens the folder's server, tells of it, and does what its second argument says.
OWNER = """
import asyncio, json, os, sys
from pathlib import Path
from moonlet.streams.server import embedded

async def main():
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told.set)
    server = await embedded.open(Path(sys.argv[1]), fsync=False)
    pid = server.process.pid if server.owned else 0
    print(json.dumps({"url": server.url, "owned": server.owned, "server": pid}), flush=True)
    async with server:
        await told.wait()
        if sys.argv[2] == "crash":
            raise RuntimeError("crash")
        if sys.argv[2] == "exit":
            os._exit(3)

asyncio.run(main())
"""

Spawn = Callable[..., "Owner"]


class Owner:
    """Another process that opens the folder."""

    def __init__(self, folder: Path, end: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder), end],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._told: dict[str, Any] = {}

    @property
    def told(self) -> dict[str, Any]:
        """What it says of its server; waits for it."""
        if not self._told:
            assert self.process.stdout is not None
            self._told = json.loads(self.process.stdout.readline())
        return self._told

    def go_on(self) -> None:
        """Let it end as it was told to."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def clean(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    owners: list[Owner] = []

    def start(end: str = "stop", folder: Path = tmp_path) -> Owner:
        owners.append(Owner(folder, end))
        return owners[-1]

    yield start
    for owner in owners:
        owner.clean()


def state(pid: int) -> str:
    """The process's state as `ps` says it, empty if there is none."""
    ps = ["ps", "-o", "stat=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie doesn't."""
    return state(pid)[:1] not in ("", "Z")


async def connect(url: str) -> NatsJetStream:
    return await connection.open(from_url(url, "test"))


async def test_it_starts_within_a_second_and_stops_cleanly(tmp_path: Path) -> None:
    took = []
    for _ in range(3):  # the quickest of them: the machine may be busy
        start = time.monotonic()
        async with await embedded.open(tmp_path):
            took.append(time.monotonic() - start)
    assert min(took) < 1.0
    server = await embedded.open(tmp_path)
    assert server.owned
    pid = server.process.pid
    js = await connect(server.url)
    await js.create_stream({"name": "S", "subjects": ["s.>"]})
    await js.close()
    await server.stop()
    await server.stop()
    assert not lives(pid)
    async with await embedded.open(tmp_path) as again:
        js = await connect(again.url)
        assert await js.stream_names() == ["S"]
        await js.close()


async def test_only_its_user_can_read_it_and_only_this_machine_can_reach_it(
    tmp_path: Path,
) -> None:
    async with await embedded.open(tmp_path) as server:
        home = tmp_path / ".moonlet"
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "lock").stat().st_mode) == 0o600
        assert stat.S_IMODE((home / "server" / "server.conf").stat().st_mode) == 0o600
        record = json.loads((home / "lock").read_text())
        assert record["pid"] == os.getpid()
        assert abs(record["started"] - time.time()) < 60
        assert record["url"] == server.url
        js = await connect(server.url)
        info = await js.server_info()
        await js.close()
        assert info["host"] == "127.0.0.1"
        assert info["max_payload"] == 1024 * 1024


async def test_a_second_opening_attaches_and_its_stop_stops_nothing(
    tmp_path: Path, spawn: Spawn
) -> None:
    owner = spawn()
    assert owner.told["owned"]
    attached = await embedded.open(tmp_path)
    assert (attached.owned, attached.url) == (False, owner.told["url"])
    assert attached.owner_pid == owner.process.pid
    await attached.stop()
    found = await embedded.attach(tmp_path)
    assert found is not None
    assert found.url == owner.told["url"]


async def test_attaching_alone_starts_nothing(tmp_path: Path) -> None:
    assert await embedded.attach(tmp_path) is None
    assert not (tmp_path / ".moonlet").exists()
    async with await embedded.open(tmp_path):
        assert await embedded.attach(tmp_path) is not None
    assert await embedded.attach(tmp_path) is None


async def test_of_several_that_start_at_once_one_owns_the_server(spawn: Spawn) -> None:
    owners = [spawn() for _ in range(5)]
    told = [await asyncio.to_thread(lambda o: o.told, owner) for owner in owners]
    assert sorted(t["owned"] for t in told) == [False, False, False, False, True]
    assert len({t["url"] for t in told}) == 1


async def test_who_is_attached_gets_unavailable_when_the_owner_stops(
    tmp_path: Path, spawn: Spawn
) -> None:
    owner = spawn()
    js = await connect(owner.told["url"])
    await js.create_stream({"name": "S", "subjects": ["s.>"]})
    owner.go_on()
    await eventually(lambda: not lives(owner.told["server"]))
    await eventually(lambda: not js.connected)
    with pytest.raises(Unavailable):
        await js.publish("s.a", b"x", timeout=1)
    await js.close()
    with pytest.raises(Unavailable):
        await connect(owner.told["url"])


@pytest.mark.parametrize("end", ["stop", "crash", "exit", "SIGKILL", "SIGINT", "SIGTERM", "SIGHUP"])
async def test_however_its_owner_ends_no_server_is_left(
    tmp_path: Path, spawn: Spawn, end: str
) -> None:
    owner = spawn(end)
    server = owner.told["server"]
    js = await connect(owner.told["url"])
    await js.create_stream({"name": "S", "subjects": ["s.>"]})
    await js.publish("s.a", b"x", timeout=5)
    await js.close()
    assert lives(server)
    if end.startswith("SIG"):
        os.killpg(owner.process.pid, signal.Signals[end])
    else:
        owner.go_on()
    await eventually(lambda: not lives(server), timeout=5)
    async with await embedded.open(tmp_path, fsync=False) as successor:
        assert successor.owned
        js = await connect(successor.url)
        assert await js.message("S", 1) is not None
        await js.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_successor_waits_until_the_old_server_is_gone(
    tmp_path: Path, spawn: Spawn, hangs: bool
) -> None:
    for _ in range(1 if hangs else 5):
        owner = spawn()
        old = owner.told["server"]
        if hangs:
            os.kill(old, signal.SIGSTOP)
        owner.process.kill()
        owner.process.wait()
        async with await embedded.open(tmp_path, fsync=False) as server:
            assert server.owned
            assert not lives(old)


async def test_a_server_that_hangs_is_ended_too(spawn: Spawn) -> None:
    owner = spawn()
    server = owner.told["server"]
    os.kill(server, signal.SIGSTOP)
    owner.process.kill()
    await eventually(lambda: not lives(server), timeout=8)


@pytest.mark.parametrize(
    "content",
    [
        '{"pid": THIS, "started": 1.0, "url": "nats://127.0.0.1:1", "monitoring_url": ""}',
        '{"pid": 99999999, "started": 1.0, "url": "nats://127.0.0.1:1", "monitoring_url": ""}',
        '{"pid": 1',
        "",
        "nonsense " * 1000,
    ],
)
async def test_a_lock_that_a_crash_left_behind_is_taken_over(tmp_path: Path, content: str) -> None:
    (tmp_path / ".moonlet").mkdir()
    content = content.replace("THIS", str(os.getpid()))  # a pid that another process has now
    (tmp_path / ".moonlet" / "lock").write_text(content)
    assert await embedded.attach(tmp_path) is None
    async with await embedded.open(tmp_path) as server:
        assert server.owned
        found = await embedded.attach(tmp_path)
        assert found is not None
        assert found.url == server.url


async def test_a_server_that_does_not_answer_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawn: Spawn
) -> None:
    monkeypatch.setattr(embedded, "ATTACH_SECONDS", 0.5)
    owner = spawn()
    os.kill(owner.told["server"], signal.SIGSTOP)
    await eventually(lambda: state(owner.told["server"]).startswith("T"))
    with pytest.raises(Unavailable, match=f"process {owner.process.pid}"):
        await embedded.open(tmp_path)
    os.kill(owner.told["server"], signal.SIGCONT)
    assert not (await embedded.open(tmp_path)).owned


async def test_a_server_that_can_not_start_says_why_and_frees_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".moonlet").mkdir()
    data = tmp_path / ".moonlet" / "data"
    data.write_text("in the way")
    with pytest.raises(Unavailable, match=r"nats-server ended with code 1.*server\.log"):
        await embedded.open(tmp_path)
    data.unlink()
    async with await embedded.open(tmp_path) as server:
        assert server.owned


async def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidSettings, match="file"):
        await embedded.open(tmp_path / "file")


async def test_a_cancelled_start_leaves_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    slow = tmp_path / "slow" / "nats-server"  # it names its file of ports after itself
    slow.parent.mkdir()
    wait = f'[ "$1" = "--version" ] || while [ ! -e {shlex.quote(str(go))} ]; do sleep 0.02; done'
    slow.write_text(f'#!/bin/sh\n{wait}\nexec {shlex.quote(str(find_server(None)))} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("MOONLET_NATS_SERVER", str(slow))
    opening = asyncio.ensure_future(embedded.open(tmp_path))
    await eventually(lambda: (tmp_path / ".moonlet" / "server" / "server.conf").exists())
    opening.cancel()
    go.touch()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await embedded.attach(tmp_path) is None
    embedded.erase(tmp_path)


async def test_data_is_erased_only_while_no_server_runs_on_it(tmp_path: Path) -> None:
    async with await embedded.open(tmp_path) as server:
        js = await connect(server.url)
        await js.create_stream({"name": "S", "subjects": ["s.>"]})
        await js.close()
        with pytest.raises(Unavailable, match="running server"):
            embedded.erase(tmp_path)
    embedded.erase(tmp_path)
    async with await embedded.open(tmp_path) as server:
        js = await connect(server.url)
        assert await js.stream_names() == []
        await js.close()


async def test_another_nats_server_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLET_NATS_SERVER", str(tmp_path / "absent"))
    with pytest.raises(InvalidSettings, match="MOONLET_NATS_SERVER"):
        await embedded.open(tmp_path)
    old = tmp_path / "old-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.11.9\n")
    old.chmod(0o755)
    monkeypatch.setenv("MOONLET_NATS_SERVER", str(old))
    with pytest.raises(InvalidSettings, match=r"2\.11\.9.*2\.12 or later"):
        await embedded.open(tmp_path)
    renamed = tmp_path / "my server"
    renamed.symlink_to(find_server())
    monkeypatch.setenv("MOONLET_NATS_SERVER", str(renamed))
    async with await embedded.open(tmp_path) as server:
        assert server.owned


async def test_folders_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" näme $HOME {x} #'
    async with await embedded.open(folder) as server:
        assert server.owned
        assert (folder / ".moonlet" / "data" / "jetstream").is_dir()


async def test_the_sync_mode_is_read_back_from_the_server(
    tmp_path: Path, new_server: Callable[..., ServerProcess]
) -> None:
    for fsync, mode in ((True, "always"), (False, 120.0)):
        async with await embedded.open(tmp_path, fsync=fsync) as server:
            js = await connect(server.url)
            assert await sync_mode(bus_over(js), server.monitoring_url) == mode
            assert await sync_mode(bus_over(js)) == "unknown"
            await js.close()
            assert await sync_mode(bus_over(js), "http://127.0.0.1:1") == "unknown"
    # A foreign server tells it where an account was allowed to ask.
    accounts = """
    accounts {
        SYS: {
            users: [{ user: sys, password: sys }]
            exports: [{ service: "$SYS.REQ.SERVER.PING.VARZ" }]
        }
        A: {
            jetstream: enabled, users: [{ user: a, password: a }]
            imports: [{ service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ" } }]
        }
    }
    system_account: SYS
    """
    foreign = new_server(extra=accounts, fsync=True)
    js = await connect(foreign.url.replace("://", "://a:a@"))
    assert await sync_mode(bus_over(js)) == "always"
    await js.close()

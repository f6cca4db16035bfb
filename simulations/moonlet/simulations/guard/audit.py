"""Ring 2: Python's audit events, which no alias avoids (PEP 578)."""

from __future__ import annotations

import sys
import threading
from typing import Any

from moonlet.simulations.guard import remedies
from moonlet.simulations.guard.judge import Judge

# By event, or by the event's family (the part before the dot).
REMEDIES = {
    "open": remedies.FILE,
    "sqlite3.connect": remedies.FILE,
    "time.sleep": remedies.CLOCK,
    "builtins.input": remedies.MACHINE,
    "ctypes.dlopen": remedies.MACHINE,
    "ctypes.call_function": remedies.MACHINE,
    "_thread.start_new_thread": remedies.THREAD,
    "_thread.start_joinable_thread": remedies.THREAD,
    "signal.pthread_kill": remedies.SIGNAL,
    **dict.fromkeys(
        ("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn",
         "os.startfile", "os.system", "pty.spawn", "subprocess.Popen"),
        remedies.PROCESS,
    ),
    **dict.fromkeys(("os.putenv", "os.unsetenv"), remedies.MACHINE),
    **dict.fromkeys(("os", "shutil", "tempfile", "glob", "pathlib", "fcntl", "mmap"),
                    remedies.FILE),
    **dict.fromkeys(("socket", "http", "urllib", "ftplib", "imaplib", "nntplib", "poplib",
                     "smtplib", "telnetlib", "webbrowser"), remedies.SOCKET),
}  # fmt: skip
IN_MEMORY = ":memory:"

_active: list[Judge] = []  # that of the run, if there is one
_known: dict[str, str | None] = {}  # remedies by event, as they occur
_installed = False


def active_judge() -> Judge | None:
    """The judge of the run that goes on in this thread."""
    if not _active or threading.get_ident() != _active[0].thread:
        return None
    return _active[0]


def _listen(event: str, args: tuple[Any, ...]) -> None:
    judge = active_judge()
    if judge is None:
        return
    try:
        remedy = _known[event]
    except KeyError:
        family = event.partition(".")[0]
        remedy = _known[event] = REMEDIES.get(event, REMEDIES.get(family))
    if remedy is None or (event == "sqlite3.connect" and args[0] == IN_MEMORY):
        return
    if event == "open" and isinstance(args[0], int):
        return  # a descriptor that is open already
    shown = repr(args[0])[:80] if args else ""
    judge.refuse(f"{event}({shown})", remedy)


class AuditHook:
    """Listens for one run. Python can't remove a hook: it stays, and is deaf between runs."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def check(self) -> None:
        """There must be no other run."""
        assert not _active, "another run is on in this process"

    def install(self) -> None:
        """Begin to listen."""
        global _installed
        if not _installed:
            sys.addaudithook(_listen)
            _installed = True
        _active.append(self._judge)

    def remove(self) -> None:
        """Stop listening."""
        _active.clear()

"""Keeping the lines of a process: one thread writes what waits, and nobody waits for it."""

import os
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from moonlet.core.errors import Corrupt, InvalidSettings, Unavailable
from moonlet.telemetry.kept.day_file import DayFile, ForeignFile, Row, Words
from moonlet.telemetry.kept.folder import DAYS, MEGABYTES, PARTS, LogFolder, day_of, start_of
from moonlet.telemetry.kept.line import level_name, plain
from moonlet.telemetry.kept.lines_waiting import LINE_SIZE, LinesWaiting, WaitingLine
from moonlet.telemetry.kept.row import ATOMS, row_of
from moonlet.telemetry.log import get_logger
from moonlet.telemetry.loggers import keep_lines, number_of
from moonlet.telemetry.repeats import Repeats

log = get_logger(__name__)

GATHER: Final = 0.1
"""Seconds for which lines are gathered: what a process that is killed has not written yet."""

BATCH: Final = 2_000
"""Lines of one transaction at most."""

RETRY: Final = 1.0
"""Seconds after which a file that was locked, or a disk that was full, is tried again."""

CLOSE: Final = 3.0
"""Seconds that closing may take; what is not written by then is lost, and counted."""

ROOM: Final = 64 * 2**20
"""Bytes free on the disk under which debug lines are dropped, lest others have no room."""

PART_MIN: Final = 2**20
"""Bytes that a part has at least before there is a next."""


class LogKeeper:
    """Keeps the lines of `level` and more that this process logs, from `open` to `close`.

    Modules that have a lower level of their own (`set_level`) are kept from there on. `days` and
    `megabytes` say what stays. Nothing that fails here is raised once it is open: it is logged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        level: int | str = "info",
        days: int = DAYS,
        megabytes: int = MEGABYTES,
        room: Callable[[Path], int] | None = None,
        waiting: LinesWaiting | None = None,
    ) -> None:
        for name, value, most in (("days", days, 3_650), ("megabytes", megabytes, 10_000_000)):
            if type(value) is not int or not 1 <= value <= most:
                raise InvalidSettings(f"logs: {name} = {value!r}: give 1 to {most:,}")
        self.folder = LogFolder(folder)
        self.level = number_of(level)
        self.part_max = max(megabytes * 2**20 // PARTS, PART_MIN)
        """Bytes of a file after which the day has a next part."""
        self.trouble = ""
        """Why nothing can be written just now; '' if it can."""
        self.kept: dict[int, int] = {}
        """Lines that were written, by level."""
        self._days = days
        self._bytes_max = megabytes * 2**20
        self._room = room or _room
        self._waiting = LinesWaiting() if waiting is None else waiting
        self._repeats = Repeats(time.monotonic)
        self._told = self._writing = 0
        self._file: DayFile | None = None
        self._day: date | None = None
        self._last = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> dict[int, int]:
        """Lines that were dropped, by level."""
        return dict(self._waiting.dropped)

    @property
    def waits(self) -> int:
        """Lines that are not written yet."""
        return len(self._waiting) + self._writing

    def open(self) -> None:
        """Begin to keep; raises `InvalidSettings` if the folder can't be made."""
        self.folder.make()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()
        keep_lines(self.keep, self.level)

    def close(self) -> None:
        """Write what waits, and end; twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        keep_lines(None)
        self._closing.set()
        self._waiting.come.set()
        thread.join(CLOSE + RETRY)

    def __enter__(self) -> "LogKeeper":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, level: int, module: str, event: str, facts: dict[str, Any]) -> None:
        """Let a line wait to be written; in any thread. `facts` are ours from now on."""
        size = LINE_SIZE + len(event)
        for name, value in facts.items():
            kind = type(value)
            if kind is str and len(value) < 1_000:
                size += len(value)
            elif kind is str or kind not in ATOMS:
                found = facts[name] = plain(value)
                size += len(found) if isinstance(found, str) else len(repr(found))
        self._waiting.put(WaitingLine(time.time_ns() // 1_000, level, module, event, facts, size))

    def _run(self) -> None:
        """The one writer."""
        ends: float | None = None
        while True:
            if not self._closing.is_set():  # which is set before `come` is, for the last time
                self._waiting.come.wait()
            if self._closing.is_set():
                ends = ends or time.monotonic() + CLOSE
            else:
                self._closing.wait(GATHER)
            try:
                written = self._write_some()
            except Exception as error:  # a mistake of ours ends no logging
                written = False
                self._complain("logs can't be kept", error)
            if ends is not None:
                if not len(self._waiting) or time.monotonic() > ends:
                    break
            if not written:
                self._closing.wait(RETRY) if ends is None else time.sleep(RETRY / 10)
        left = self._waiting.take(len(self._waiting))
        for line in left:
            self._waiting.drop(1, line.level)
        if left:
            log.warning("log lines were lost as the log was closed", lines=len(left))
        self._let_go()

    def _write_some(self) -> bool:
        """Whether what was taken could be written; else it waits again."""
        lines = self._waiting.take(BATCH)
        if self._room(self.folder.path) < ROOM:
            few = [line for line in lines if line.level > 10]
            self._waiting.drop(len(lines) - len(few), 10)
            lines = few
        while lines:
            self._writing = len(lines)
            day = day_of(lines[0].time)
            till = next((n for n, line in enumerate(lines) if day_of(line.time) != day), len(lines))
            try:
                self._write(day, lines[:till])
            except (Unavailable, OSError) as error:
                self._waiting.put_back(lines)
                self._writing = 0
                self._let_go()
                self.trouble = str(error) or type(error).__name__
                self._complain("logs can't be kept", error)
                return False
            for line in lines[:till]:
                self.kept[line.level] = self.kept.get(line.level, 0) + 1
            lines = lines[till:]
        self._writing = 0
        self.trouble = ""
        self._tell_of_dropped()
        return True

    def _write(self, day: date, lines: list[WaitingLine]) -> None:
        start = start_of(day)
        rows, words = self._made(lines, start)
        for _ in range(2):
            file = self._file_of(day)
            try:
                self._last = file.add(rows, words, self._last)
            except Corrupt as error:
                self._let_go()
                aside = self.folder.set_aside(file.path)
                self._complain("a damaged log was set aside", error, file=aside.name)
                continue
            if file.bytes > self.part_max:
                self._next_part(day, file)
            return
        raise Unavailable(f"{self.folder.path}: a new file is damaged at once")

    def _made(self, lines: list[WaitingLine], start: int) -> tuple[list[Row], list[Words]]:
        rows, words = [], []
        for line in lines:
            try:
                row, found = row_of(line, start)
            except Exception as error:  # a fact of a kind that nobody thought of
                self._waiting.drop(1, line.level)
                self._complain("a line can't be kept", error, of=line.module)
                continue
            rows.append(row)
            words.append(found)
        return rows, words

    def _file_of(self, day: date) -> DayFile:
        if self._file is not None and self._day == day:
            return self._file
        self._let_go()
        beyond = 0
        while True:
            path = self.folder.to_write(day, beyond=beyond)
            try:
                self._file = DayFile(path)
                break
            except ForeignFile as error:
                beyond = self.folder.part_of(path)
                self._complain("a foreign file stands where logs go", error)
            except Corrupt as error:
                aside = self.folder.set_aside(path)
                self._complain("a damaged log was set aside", error, file=aside.name)
        if self._day != day:
            self._last = 0
        self._day = day
        self._prune(day)
        return self._file

    def _next_part(self, day: date, file: DayFile) -> None:
        path = self.folder.to_write(day, beyond=self.folder.part_of(file.path))
        self._let_go()
        self._file = DayFile(path)
        self._prune(day)

    def _prune(self, day: date) -> None:
        today = max(day, day_of(time.time_ns() // 1_000))
        gone = self.folder.prune(today, self._days, self._bytes_max)
        if gone:
            log.info("old logs were deleted", files=gone)

    def _tell_of_dropped(self) -> None:
        dropped = self._waiting.dropped
        total = sum(dropped.values())
        if total > self._told and self._repeats.due("dropped"):
            self._told = total
            log.warning(
                "log lines were dropped",
                **{level_name(level): count for level, count in sorted(dropped.items())},
            )

    def _complain(self, what: str, error: Exception, **facts: Any) -> None:
        if self._repeats.due(what):
            log.error(what, error=str(error) or type(error).__name__, **facts)

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _room(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize

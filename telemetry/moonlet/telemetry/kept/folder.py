"""The folder of logs: a file a day, further parts of a day that outgrows one, and what is let go.

`2026-12-01.db`, then `2026-12-01.2.db`; what was damaged is set aside as `….db.damaged-1`.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.telemetry.kept.day_file import size_of

DAYS: Final = 7
"""Days that are kept, today included, unless told otherwise."""

MEGABYTES: Final = 1_024
"""Of 2**20 bytes, which all files may take, unless told otherwise."""

PARTS: Final = 8
"""The share of all that one file may take; then the day has a next part, so the oldest can go."""

PARTS_MAX: Final = 10_000
"""Parts of one day."""

DAY_MICROS: Final = 86_400 * 1_000_000

_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.(\d{1,5}))?\.db(\.damaged-\d+)?")
_STORE: Final = "store"


class LogFile(NamedTuple):
    """A file by its name; they are ordered by day and part."""

    day: date
    part: int
    path: Path
    damaged: bool = False


class LogFolder:
    """Where lines lie, and nothing is open. Several processes may share one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make it, for its owner alone; raises `InvalidSettings` if it can't be."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSettings(
                f"logs can't be kept in {self.path} ({error.strerror or error}): choose another"
                " folder with --data, or keep none with --no-logs"
            ) from None

    def store(self) -> str:
        """What names this folder among others, made up once; '' if it can't be written."""
        path = self.path / _STORE
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError), path.open("x") as file:
                file.write(secrets.token_hex(4))
            return path.read_text("utf-8", "replace").strip()[:32]
        return ""

    def files(self) -> list[LogFile]:
        """Those of ours by name, the newest first; nothing if there is no folder."""
        return sorted((f for f in self._found() if not f.damaged), reverse=True)

    def _found(self) -> Iterator[LogFile]:
        try:
            names = os.listdir(self.path)
        except OSError:
            return
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            with contextlib.suppress(ValueError):
                day = date.fromisoformat(match[1])
                yield LogFile(day, int(match[2] or 1), self.path / name, match[3] is not None)

    def to_write(self, day: date, *, beyond: int = 0) -> Path:
        """Where lines of that day go: its last part, or one after `beyond`."""
        parts = [file.part for file in self.files() if file.day == day]
        part = max([1, beyond + 1, *parts])
        if part > PARTS_MAX:
            raise Unavailable(f"{self.path} has {PARTS_MAX} files of {day} already")
        return self.path / (f"{day}.db" if part == 1 else f"{day}.{part}.db")

    def part_of(self, path: Path) -> int:
        """Which part of its day a file is."""
        match = _NAME.fullmatch(path.name)
        assert match is not None
        return int(match[2] or 1)

    def set_aside(self, path: Path) -> Path:
        """Rename what is damaged, with what stands beside it; returns its new name."""
        number = 1
        while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
        return aside

    def prune(self, today: date, days: int, bytes_max: int) -> list[str]:
        """Delete what is too old, and the oldest while all take too much; returns their names.

        Today's last part stays in any case.
        """
        first = today - timedelta(days=days - 1)
        files = sorted(self._found())
        sizes = {file.path: size_of(file.path) for file in files}
        total = sum(sizes.values())
        gone = []
        for file in files:
            if file.day >= first and (total <= bytes_max or file is files[-1]):
                continue
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    file.path.with_name(file.path.name + end).unlink()
            total -= sizes[file.path]
            gone.append(file.path.name)
        return gone


def day_of(micros: int) -> date:
    """The day, UTC, of microseconds since 1970."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).date()


def start_of(day: date) -> int:
    """Its first microsecond since 1970."""
    return (day - date(1970, 1, 1)).days * DAY_MICROS

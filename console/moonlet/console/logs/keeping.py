"""Keeping the lines of a host: where, for how long, and telling them to who asks."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from moonlet.agents import WatchAnswer
from moonlet.console.common import Options, log_settings
from moonlet.core.errors import Invalid, InvalidSettings
from moonlet.telemetry.kept import DAYS, MEGABYTES, LogKeeper, LogQuery, search_logs

KeepLogs = Annotated[
    bool,
    typer.Option(
        "--logs/--no-logs",
        help="Keep what is logged in .moonlet/logs of this folder, or that of --data, for `moonlet"
        " logs`.",
    ),
]


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[tool.moonlet.logs] of ./pyproject.toml."""

    level: str = "info"
    days: int = DAYS
    megabytes: int = MEGABYTES


def logs_folder(options: Options) -> Path:
    """Where the hosts of a folder keep their lines."""
    return options.folder / ".moonlet" / "logs"


def keeper_of(options: Options) -> LogKeeper:
    """A keeper, not open yet; raises `InvalidSettings`."""
    try:
        settings = msgspec.convert(log_settings(), LogSettings)
    except msgspec.ValidationError as error:
        raise InvalidSettings(
            f"[tool.moonlet.logs] of pyproject.toml: {error}; there are level, days, megabytes"
        ) from None
    return LogKeeper(
        logs_folder(options),
        level=settings.level,
        days=settings.days,
        megabytes=settings.megabytes,
    )


async def told_logs(folder: Path, question: bytes) -> WatchAnswer:
    """What a host answers who asks all of them for lines; raises `Invalid`."""
    try:
        query: LogQuery = _QUERY.decode(question)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(f"what is asked of logs can't be read: {error}") from None
    found = await asyncio.to_thread(search_logs, folder, query)
    return WatchAnswer(found.lines, found.troubles)


_QUERY: Final = msgspec.json.Decoder(LogQuery)

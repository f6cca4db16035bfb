"""Logs that are kept: in files of a day, within bounds, and searched."""

from moonlet.telemetry.kept.folder import DAYS, MEGABYTES
from moonlet.telemetry.kept.keeper import LogKeeper
from moonlet.telemetry.kept.line import LogLine
from moonlet.telemetry.kept.query import LIMIT_MAX, LogQuery
from moonlet.telemetry.kept.search import FoundLines, newest_line, parse_line_id, search_logs

__all__ = [
    "DAYS",
    "LIMIT_MAX",
    "MEGABYTES",
    "FoundLines",
    "LogKeeper",
    "LogLine",
    "LogQuery",
    "newest_line",
    "parse_line_id",
    "search_logs",
]

"""`logs`: the lines that hosts kept, searched, followed, gathered."""

from moonlet.console.logs.command import logs
from moonlet.console.logs.keeping import KeepLogs, keeper_of, logs_folder, told_logs

__all__ = ["KeepLogs", "keeper_of", "logs", "logs_folder", "told_logs"]

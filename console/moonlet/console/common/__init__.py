"""What every command is made of: its options, what it prints, how it ends, where it connects."""

from moonlet.console.common.agent_types import (
    Code,
    Found,
    alert_settings,
    find,
    find_code,
    find_own,
    log_settings,
)
from moonlet.console.common.exits import MEANINGS, ExitCode, exit_code
from moonlet.console.common.host_process import HostProcess
from moonlet.console.common.loop import on_stop
from moonlet.console.common.options import Modules, Options, command, command_without, outcome
from moonlet.console.common.output import Output, compact, counted, pretty, table
from moonlet.console.common.progress_line import Advance, progress
from moonlet.console.common.same_command import SameCommand
from moonlet.console.common.session import Session, opened
from moonlet.console.common.sizes import Internal, Journals, Mailbox, Replicas, asked_topology
from moonlet.console.common.supervisor import RESTARTS, Child, supervise
from moonlet.console.common.user_function import function_at

__all__ = [
    "MEANINGS",
    "RESTARTS",
    "Advance",
    "Child",
    "Code",
    "ExitCode",
    "Found",
    "HostProcess",
    "Internal",
    "Journals",
    "Mailbox",
    "Modules",
    "Options",
    "Output",
    "Replicas",
    "SameCommand",
    "Session",
    "alert_settings",
    "asked_topology",
    "command",
    "command_without",
    "compact",
    "counted",
    "exit_code",
    "find",
    "find_code",
    "find_own",
    "function_at",
    "log_settings",
    "on_stop",
    "opened",
    "outcome",
    "pretty",
    "progress",
    "supervise",
    "table",
]

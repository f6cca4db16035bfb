"""What requests read: a system on a server or in a bundle, its commits as rows, states as lines."""

from moonlet.web.reading.parameters import Parameters
from moonlet.web.reading.rows import CommitRow, brief, cut, row_of, unreadable
from moonlet.web.reading.state_lines import StateText, state_text
from moonlet.web.reading.system import CommandLine, SystemReader, WebSystem

__all__ = [
    "CommandLine",
    "CommitRow",
    "Parameters",
    "StateText",
    "SystemReader",
    "WebSystem",
    "brief",
    "cut",
    "row_of",
    "state_text",
    "unreadable",
]

"""Servers that we start: the embedded one, and one for the time of a test run."""

from moonlet.streams.server.embedded import Embedded, attach, erase, open
from moonlet.streams.server.server_process import MINIMUM_VERSION, parse_version
from moonlet.streams.server.temporary import TemporaryServer

__all__ = [
    "MINIMUM_VERSION",
    "Embedded",
    "TemporaryServer",
    "attach",
    "erase",
    "open",
    "parse_version",
]

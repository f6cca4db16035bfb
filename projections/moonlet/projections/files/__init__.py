"""A view's files: the database that rows and frontier go to in one transaction, and the disk below.

Only this room speaks SQLite, and `view` lies below it: a file is opened over a state.
"""

from moonlet.projections.files.database import ViewDatabase
from moonlet.projections.files.disk import FILES, Disk, Files
from moonlet.projections.files.memory_disk import MemoryDisk
from moonlet.projections.files.notes import read_notes, write_replica, write_skipped
from moonlet.projections.files.sql import Rows, open_reader, select

__all__ = [
    "FILES",
    "Disk",
    "Files",
    "MemoryDisk",
    "Rows",
    "ViewDatabase",
    "open_reader",
    "read_notes",
    "select",
    "write_replica",
    "write_skipped",
]

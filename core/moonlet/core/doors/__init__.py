"""Doors of packages that open late: a room is imported when somebody asks for a name of it."""

from moonlet.core.doors.late import late

__all__ = ["late"]

"""A point in time, however it is written: an agent's revision, a commit, a sequence, a time."""

from moonlet.replay.points.moments import TimeText, moment_of, parse_moment
from moonlet.replay.points.point import Point, PointText, parse_point
from moonlet.replay.points.resolving import commit_at, resolve, revision_at

__all__ = [
    "Point",
    "PointText",
    "TimeText",
    "commit_at",
    "moment_of",
    "parse_moment",
    "parse_point",
    "resolve",
    "revision_at",
]

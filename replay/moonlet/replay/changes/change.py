"""The difference of two states, as paths that changed, and as an RFC 6902 patch."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from moonlet.replay.changes.paths import Path, show

Kind = Literal["added", "removed", "changed"]


class Change(msgspec.Struct, frozen=True):
    """One path that is new, gone, or holds something else. What is not there is None."""

    path: str
    kind: Kind
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        old, new = (msgspec.json.encode(value).decode() for value in (self.old, self.new))
        if self.kind == "added":
            return f"+ {self.path} {new}"
        if self.kind == "removed":
            return f"- {self.path} {old}"
        return f"~ {self.path} {old} → {new}"


def changes(before: Any, after: Any) -> list[Change]:
    """All changes of plain data, in the order of the paths of `before`, what is new behind.

    Lists that grew or shrank are compared from both ends, so an item that was put in or taken out
    is one change. Numbers of another type that are equal (1 and 1.0) are a change, NaN is none.
    """
    found = differences(before, after)
    return [Change(show(path), kind, *values) for path, kind, values in found]


Difference = tuple[Path, Kind, tuple[Any, Any]]
"""A path, what became of it, and what stood and stands there."""


def differences(before: Any, after: Any, root: Path = ()) -> Iterator[Difference]:
    """As `changes`, lazily, the paths in parts, behind `root`."""
    waiting = [(before, after, root)]
    while waiting:
        old, new, here = waiting.pop()
        if old is new:
            continue
        inner: list[tuple[Any, Any, Path]] = []
        if type(old) is dict and type(new) is dict:
            for key, value in old.items():
                if key in new:
                    inner.append((value, new[key], (*here, key)))
                else:
                    yield (*here, key), "removed", (value, None)
            for key, value in new.items():
                if key not in old:
                    yield (*here, key), "added", (None, value)
        elif type(old) is list and type(new) is list:
            yield from _lists(old, new, here, inner)
        elif type(old) is not type(new) or (old != new and not (old != old and new != new)):
            yield here, "changed", (old, new)
        waiting += reversed(inner)


def _lists(
    old: list[Any], new: list[Any], here: Path, inner: list[tuple[Any, Any, Path]]
) -> Iterator[Difference]:
    shorter = min(len(old), len(new))
    start = 0
    if len(old) != len(new):
        while start < shorter and old[start] == new[start]:
            start += 1
    end = 0
    while len(old) != len(new) and end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    for index in range(start, shorter - end):
        inner.append((old[index], new[index], (*here, index)))
    for index in range(max(start, shorter - end), len(old) - end):
        yield (*here, index), "removed", (old[index], None)
    for index in range(max(start, shorter - end), len(new) - end):
        yield (*here, index), "added", (None, new[index])


def json_patch(before: Any, after: Any) -> list[dict[str, Any]]:
    """The RFC 6902 patch that makes `after` of `before`."""
    import jsonpatch  # 30 ms that only a patch needs

    made: list[dict[str, Any]] = jsonpatch.make_patch(before, after).patch
    return made

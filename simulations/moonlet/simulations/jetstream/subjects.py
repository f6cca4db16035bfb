"""NATS subjects: validity, matching, overlap, and an index of patterns."""

from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_CACHE_LIMIT: Final = 65_536  # subjects remembered by one index before it forgets them all
_KEPT: Final = 4_096  # answers: worlds of one scenario ask the same again
_NOTHING: Final[list[Any]] = []
_BLANKS: Final = "\t\n\f\r "


@lru_cache(_KEPT)
def is_valid(subject: str) -> bool:
    """Whether the server takes `subject` as a pattern: no empty token, `>` only at the end."""
    if not subject or "\0" in subject:
        return False
    last = False
    for token in subject.split("."):
        if not token or last or any(blank in token for blank in _BLANKS):
            return False
        last = token == ">"
    return True


@lru_cache(_KEPT)
def is_literal(subject: str) -> bool:
    """Whether no token is a wildcard."""
    if "*" not in subject and ">" not in subject:
        return True
    return not any(token in ("*", ">") for token in subject.split("."))


def is_valid_literal(subject: str) -> bool:
    """Whether `subject` can be published to by the server itself."""
    return is_valid(subject) and is_literal(subject)


def is_name(name: str) -> bool:
    """Whether `name` can name a stream or consumer."""
    return bool(name) and not any(character in name for character in " \t\r\n\f.*>\\/")


def matches(pattern: str, subject: str) -> bool:
    """Whether `pattern` covers `subject`, which may be a pattern itself (then: every match)."""
    if pattern == subject or pattern == ">":
        return True
    if "*" not in pattern and ">" not in pattern:
        return False
    return covers(pattern.split("."), subject.split("."))


def covers(pattern: list[str], subject: list[str]) -> bool:
    """`matches` for subjects split at the dots."""
    length = len(subject)
    for position, token in enumerate(pattern):
        if position >= length:
            return False
        if token == ">":
            return True
        other = subject[position]
        if other == ">":
            return False
        if token != "*" and token != other:
            return False
    return len(pattern) == length


def looks_covered(pattern: list[str], subject: list[str]) -> bool:
    """`covers`, if the wildcards of `subject` are taken for ordinary tokens."""
    for position, token in enumerate(pattern):
        if position >= len(subject):
            return False
        if token == ">":
            return True
        if token != "*" and token != subject[position]:
            return False
    return len(pattern) == len(subject)


@lru_cache(_KEPT)
def collide(first: str, second: str) -> bool:
    """Whether some subject is covered by both patterns."""
    if first == second:
        return True
    one, two = first.split("."), second.split(".")
    for left, right in zip(one, two, strict=False):
        if left == ">" or right == ">":
            return True
        if left != right and left != "*" and right != "*":
            return False
    return len(one) == len(two)


class _Node(Generic[T]):
    """A token of the patterns that begin alike; items are numbered by their addition."""

    __slots__ = ("children", "ending", "open")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.ending: list[tuple[int, T]] = []
        self.open: list[tuple[int, T]] = []  # those that end with ">" here


def _added(entry: tuple[int, object]) -> int:
    return entry[0]


class Patterns(Generic[T]):
    """Which items' patterns cover a subject, in order of their addition; an item occurs once.

    A look-up doesn't cost in proportion to the patterns. Only where there are wildcards that don't
    just stand for the last token is it remembered: the subjects of replies come but once.
    """

    def __init__(self) -> None:
        self._exact: dict[str, list[tuple[int, T]]] = {}
        self._last_token: dict[str, list[tuple[int, T]]] = {}  # what stands before ".*"
        self._wild: _Node[T] = _Node()
        self._wild_count = 0
        self._count = 0
        self._known: dict[str, tuple[T, ...]] = {}

    def add(self, pattern: str, item: T) -> None:
        """Add `item` under `pattern`; it may have several."""
        self._count += 1
        table, key = self._place(pattern)
        if table is None:
            self._wild_count += 1
            self._items(pattern).append((self._count, item))
        else:
            table.setdefault(key, []).append((self._count, item))
        self._known.clear()

    def remove(self, pattern: str, item: T) -> None:
        """Remove what `add` with the same arguments added first."""
        table, key = self._place(pattern)
        items = self._items(pattern) if table is None else table[key]
        items.remove(next(entry for entry in items if entry[1] is item))
        if table is None:
            self._wild_count -= 1
            if not self._wild_count:
                self._wild = _Node()
        elif not items:
            del table[key]
        self._known.clear()

    def _place(self, pattern: str) -> tuple[dict[str, list[tuple[int, T]]] | None, str]:
        """The table for a pattern and the key in it; None for the tree."""
        if is_literal(pattern):
            return self._exact, pattern
        before, dot, last = pattern.rpartition(".")
        if last == "*" and dot and is_literal(before):
            return self._last_token, before
        return None, ""

    def _items(self, pattern: str) -> list[tuple[int, T]]:
        """Where the items of a pattern of the tree stand."""
        node = self._wild
        for token in pattern.split("."):
            if token == ">":
                return node.open
            node = node.children.setdefault(token, _Node())
        return node.ending

    def matching(self, subject: str) -> tuple[T, ...]:
        """The items with a pattern that covers the literal `subject`."""
        if not self._wild_count:
            exact = self._exact.get(subject)
            last_token = self._last_token.get(subject.rpartition(".")[0])
            if exact is None and last_token is None:  # nearly always one of both, with one item
                return ()
            if exact is None and last_token is not None and len(last_token) == 1:
                return (last_token[0][1],)
            return self._matching(subject, _NOTHING)
        known = self._known.get(subject)
        if known is None:
            if len(self._known) >= _CACHE_LIMIT:
                self._known.clear()
            known = self._known[subject] = self._matching(subject, self._matching_wild(subject))
        return known

    def _matching(self, subject: str, found: list[tuple[int, T]]) -> tuple[T, ...]:
        """The items of the tables, and those found in the tree."""
        exact = self._exact.get(subject)
        if exact is not None:
            found = [*found, *exact]
        last_token = self._last_token.get(subject.rpartition(".")[0])
        if last_token is not None:
            found = [*found, *last_token]
        if len(found) > 1:
            found.sort(key=_added)
            return tuple({id(item): item for _, item in found}.values())
        return (found[0][1],) if found else ()

    def _matching_wild(self, subject: str) -> list[tuple[int, T]]:
        found: list[tuple[int, T]] = []
        nodes = [self._wild]
        for token in subject.split("."):
            following: list[_Node[T]] = []
            for node in nodes:
                found += node.open
                children = node.children
                if children:
                    if (child := children.get(token)) is not None and token != "*":
                        following.append(child)
                    if (child := children.get("*")) is not None:
                        following.append(child)
            nodes = following
            if not nodes:
                return found
        for node in nodes:
            found += node.ending
        return found

"""Asking an index: by agent and revision, command, conversation, time, words."""

from typing import Any

import msgspec
from sqlite_utils import Database

from moonlet.core.errors import Corrupt, Invalid
from moonlet.replay.index.following import add_words
from moonlet.replay.index.writing import OUTCOMES, PLACE_BITS

COLUMNS = """
  SELECT c.place, a.name, c.revision, c.micros, c.command, n.name, s.name, c.correlation,
    c.outcome, c.events, c.effects, c.reason FROM commits c
    JOIN names a ON a.number = c.agent JOIN names n ON n.number = c.name
    JOIN names s ON s.number = c.sender
"""


class Hit(msgspec.Struct, frozen=True):
    """One commit as the index knows it; `micros` since 1970, `stream` and `sequence` its place."""

    agent: str
    revision: int
    stream: str
    sequence: int
    micros: int
    command: str
    name: str
    sender: str
    correlation: str
    outcome: str
    events: list[str]
    effects: list[str]
    reason: str


class IndexBucket(msgspec.Struct, frozen=True):
    """256 sequences of a journal: how many commits, how many not accepted, times of both ends."""

    stream: str
    sequence: int
    first: int
    last: int
    commits: int
    refused: int


class Index:
    """A database that was opened, to be asked. Answers are as of when it was followed last."""

    def __init__(self, database: Database, *, read_only: bool = False) -> None:
        self.database = database
        self._read_only = read_only

    def frontier(self) -> dict[str, int]:
        """Journal → the last sequence that is indexed."""
        return dict(self.database.execute("SELECT stream, last FROM journals ORDER BY stream"))

    def count(self) -> int:
        """Commits that are indexed."""
        return int(self.database.execute("SELECT count(*) FROM commits").fetchone()[0])

    def commit(self, agent: str, revision: int) -> Hit | None:
        """The commit of a revision."""
        where = "WHERE c.agent = (SELECT number FROM names WHERE name = ?) AND c.revision = ?"
        return self._one(where, [agent, revision])

    def of_command(self, id: str, agent: str | None = None) -> list[Hit]:
        """The commits of a command's id, by whatever agent."""
        found = self._all("WHERE c.command = ? ORDER BY c.place", [id])
        return [hit for hit in found if agent is None or hit.agent == agent]

    def of_correlation(self, correlation: str) -> list[Hit]:
        """A whole conversation, its first command too, in the order of times."""
        where = "WHERE c.correlation = ? UNION " + COLUMNS + " WHERE c.command = ?"
        found = self._all(where, [correlation, correlation])
        return sorted(found, key=lambda hit: (hit.micros, hit.stream, hit.sequence))

    def revision_at(self, agent: str, micros: int) -> int:
        """The agent's last revision not later than a time (µs since 1970); 0 before the first."""
        row = self.database.execute(
            "SELECT max(revision) FROM commits WHERE"
            " agent = (SELECT number FROM names WHERE name = ?) AND micros <= ?",
            [agent, micros],
        ).fetchone()
        return int(row[0] or 0)

    def search(self, text: str, most: int = 100) -> list[Hit]:
        """Commits whose names, ids or reasons (and bodies, if indexed) have all of these words.

        The newest first. Words are taken as they are; `"…"` is a phrase. Raises `Invalid` for none.
        """
        query = _query(text)
        if not self._read_only:
            add_words(self.database)
        where = "WHERE c.place IN (SELECT rowid FROM words WHERE words MATCH ?)"
        return self._all(f"{where} ORDER BY c.micros DESC, c.place DESC LIMIT ?", [query, most])

    def buckets(self) -> list[IndexBucket]:
        """All journals in pieces of 256 sequences, for drawing without reading commits."""
        rows = self.database.execute(
            "SELECT j.stream, b.number * 256, b.first, b.last, b.commits, b.refused"
            " FROM buckets b JOIN journals j ON j.number = b.journal ORDER BY j.stream, b.number"
        )
        return [IndexBucket(*row) for row in rows]

    def _one(self, where: str, values: list[Any]) -> Hit | None:
        found = self._all(f"{where} LIMIT 1", values)
        return found[0] if found else None

    def _all(self, where: str, values: list[Any]) -> list[Hit]:
        streams = dict(self.database.execute("SELECT number, stream FROM journals"))
        try:
            return [_hit(row, streams) for row in self.database.execute(COLUMNS + where, values)]
        except (LookupError, TypeError, AttributeError) as error:
            why = f"{type(error).__name__}: {error}"
            raise Corrupt(f"the index is damaged ({why}): delete it, it is made anew") from None


def _hit(row: tuple[Any, ...], streams: dict[int, str]) -> Hit:
    place, agent, revision, micros, command, name, sender, correlation, *rest = row
    outcome, events, effects, reason = rest
    return Hit(
        agent,
        revision,
        streams[place >> PLACE_BITS],
        place & ((1 << PLACE_BITS) - 1),
        micros,
        command,
        name,
        sender,
        correlation or command,
        OUTCOMES[outcome],
        (events or "").split(",") if events else [],
        (effects or "").split(",") if effects else [],
        reason or "",
    )


def _query(text: str) -> str:
    """All words, each in quotes, so that none is an operator of FTS5."""
    phrases: list[str] = []
    for number, part in enumerate(text.split('"')):
        phrases += [part] if number % 2 else part.split()
    found = [phrase for phrase in phrases if any(char.isalnum() for char in phrase)]
    if not found:
        raise Invalid(f"{text!r} has no word to look for")
    return " ".join(f'"{phrase}"' for phrase in found)

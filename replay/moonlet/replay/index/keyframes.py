"""States that are kept in the index's file, so that the next process finds them too.

A row is used only by the code that folded it, with the repairs that the agent had then, and if its
mark says that it is as it was written; whoever uses it compares its digest with the journal's. What
doesn't fit is left aside, and taken out when something is kept in its place.
"""

import sqlite3
from hashlib import blake2b
from typing import Any, Final

import msgspec
import zstandard
from sqlite_utils import Database

from moonlet.agents import AgentType
from moonlet.core.codec import unpack
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.replay.states import AgentKeyframes, StateAt
from moonlet.streams import Skips

SHARE: Final = 64
"""Bytes of kept states for each commit of an agent, at most: large states are kept less often."""

STATE_MAX: Final = 8_388_608
"""Bytes of a state; a larger one is not kept."""

COMPRESSED_ABOVE: Final = 256
"""Bytes from which a state is compressed."""

DAMAGED_MAX: Final = 16
"""Damaged rows that are passed over in one search; behind more, nothing is believed."""

WRITTEN_AT_ONCE: Final = 500
"""States that are written in one transaction."""

Row = tuple[str, bytes, int, int, int, int, bytes, bytes, int]
"""Agent, code, revision, sequence, time (µs, counter), digest, state, and whether compressed."""


class IndexKeyframes:
    """The kept states in a database that was opened. Nothing is written into a `read_only` one.

    What can't be written, as while another process writes, is not kept: that is only slower.
    """

    def __init__(self, database: Database, *, read_only: bool = False) -> None:
        self._connection: sqlite3.Connection = database.conn
        self._read_only = read_only

    def of(self, agent_type: AgentType[Any], agent: AgentId, skips: Skips) -> AgentKeyframes:
        """Those of one agent that this code folded, with these repairs."""
        return _InFile(self._connection, agent_type, agent, skips, self._read_only)


class _InFile:
    def __init__(
        self,
        connection: sqlite3.Connection,
        agent_type: AgentType[Any],
        agent: AgentId,
        skips: Skips,
        read_only: bool,
    ) -> None:
        self._connection = connection
        self._type = agent_type
        self._agent = agent
        repaired = msgspec.json.encode([skips[at] for at in sorted(skips)]) if skips else b""
        code = agent_type.state_code().encode()
        self._code = blake2b(code + b"\n" + repaired, digest_size=16).digest()
        self._read_only = read_only
        self._waiting: dict[int, Row] = {}
        self._bytes: int | None = None
        self._size = 0
        self._dropped = False

    def nearest(self, revision: int) -> StateAt | None:
        """The last one not later than `revision` that is whole; what is damaged is passed over."""
        held = max((kept for kept in self._waiting if kept <= revision), default=-1)
        for _ in range(0 if self._dropped else DAMAGED_MAX):
            row = self._look(revision)
            if row is None or row[2] <= held:
                break
            found = self._read(row)
            if found is not None:
                return found
            revision = row[2] - 1
        return self._read((*self._waiting[held], _mark(self._waiting[held]))) if held >= 0 else None

    def keep(self, held: StateAt) -> None:
        """Keep it, unless that is more than its share of the file, or it comes back otherwise.

        `flush` writes it.
        """
        if self._read_only or self._has(held):
            return
        room = SHARE * held.revision - self._used()
        if self._size > 2 * room or room <= 0:
            self._size //= 2  # looked at again when there is more room, or it may be smaller
            return
        row = self._row(held)
        if row is None:
            return
        self._size = len(row[7])
        if self._size > room:
            return
        self._waiting[held.revision] = row
        self._bytes = self._used() + self._size
        if len(self._waiting) >= WRITTEN_AT_ONCE:
            self.flush()

    def _has(self, held: StateAt) -> bool:
        known = self.nearest(held.revision)
        return known is not None and (known.revision, known.digest) == (held.revision, held.digest)

    def drop(self) -> None:
        """Forget all of the agent."""
        self._waiting = {}
        self._bytes, self._dropped = 0, True

    def flush(self) -> None:
        """Write what was kept; rows of other code give way."""
        if self._read_only or not (self._waiting or self._dropped):
            return
        agent, rows = str(self._agent), list(self._waiting.values())
        try:
            with self._connection:
                self._connection.execute(
                    "DELETE FROM keyframes WHERE agent = ? AND (? OR code <> ?)",
                    [agent, self._dropped, self._code],
                )
                self._connection.executemany(
                    "INSERT OR REPLACE INTO keyframes VALUES (?,?,?,?,?,?,?,?,?,?)",
                    [(*row, _mark(row)) for row in rows],
                )
        except sqlite3.Error:
            pass  # kept or not, it is only a cache; the index itself tells what is wrong with it
        else:
            self._dropped = False
        self._waiting = {}

    def _look(self, revision: int) -> "tuple[Any, ...] | None":
        try:
            found: tuple[Any, ...] | None = self._connection.execute(
                "SELECT * FROM keyframes WHERE agent = ? AND revision <= ? AND code = ?"
                " ORDER BY revision DESC LIMIT 1",
                [str(self._agent), revision, self._code],
            ).fetchone()
        except (sqlite3.Error, UnicodeDecodeError):
            return None
        return found

    def _used(self) -> int:
        if self._bytes is None:
            try:
                row = self._connection.execute(
                    "SELECT sum(length(state)) FROM keyframes WHERE agent = ? AND code = ?",
                    [str(self._agent), self._code],
                ).fetchone()
                self._bytes = int(row[0] or 0)
            except (sqlite3.Error, TypeError, ValueError):
                self._bytes = 0
        return self._bytes

    def _row(self, held: StateAt) -> Row | None:
        """None for a state that is too large, or would come back as something else."""
        states = self._type.states
        try:
            data = states.encode(held.state)
        except BaseException:  # nothing is awaited here: it is the class's own
            return None
        if len(data) > STATE_MAX or states.unlike(held.state, data) is not None:
            return None
        packed = len(data) > COMPRESSED_ABOVE
        return (
            str(self._agent),
            self._code,
            held.revision,
            held.sequence,
            held.time.micros,
            held.time.counter,
            held.digest.encode(),
            zstandard.compress(data, 3) if packed else data,
            int(packed),
        )

    def _read(self, row: tuple[Any, ...]) -> StateAt | None:
        """None for a row that is not as it was written."""
        *facts, mark = row
        try:
            if _mark(tuple(facts)) != mark:
                return None
            _, _, revision, sequence, micros, counter, digest, data, packed = facts
            if packed:
                data, _ = unpack(data, "msgpack+zstd")
            state = self._type.states.decode(data)
        except BaseException:  # nothing is awaited here: damage, or the class's own
            return None
        time = Timestamp(micros, counter)
        return StateAt(self._agent, revision, sequence, time, digest.decode(), state)


def _mark(row: tuple[Any, ...]) -> bytes:
    """Tells a row from one that was damaged, in any of its columns."""
    return blake2b(msgspec.msgpack.encode(row), digest_size=16).digest()

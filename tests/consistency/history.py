"""What clients did and saw, in the order in which it began and ended: histories to be judged."""

from pathlib import Path
from typing import Literal

import msgspec

NEVER = -1
"""The end of an operation of which nobody knows whether it was done, or ever will be."""

Kind = Literal["append", "append_if", "read"]


class Operation(msgspec.Struct):
    """One operation on one agent; `start` and `end` count what began and ended in the run.

    `numbers` is what it gave, None if nobody saw. `refused`: the agent said no.
    """

    agent: str
    client: int
    kind: Kind
    number: int = 0
    length: int = 0
    numbers: list[int] | None = None
    refused: bool = False
    start: int = 0
    end: int = NEVER


class History:
    """Operations of one run, which happens in one process: a count is its clock."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._time = 0
        self._number = 0

    def number(self) -> int:
        """One that nobody has appended yet."""
        self._number += 1
        return self._number

    def begin(
        self, agent: str, client: int, kind: Kind, *, number: int = 0, length: int = 0
    ) -> Operation:
        """It begins now; until it ends nobody knows what comes of it."""
        self._time += 1
        operation = Operation(agent, client, kind, number, length, start=self._time)
        self.operations.append(operation)
        return operation

    def end(
        self, operation: Operation, numbers: list[int] | None = None, *, refused: bool = False
    ) -> None:
        """It ends now, with what it gave."""
        self._time += 1
        operation.numbers, operation.refused, operation.end = numbers, refused, self._time

    def drop(self, operation: Operation) -> None:
        """It was a question that nobody answered."""
        self.operations.remove(operation)

    def save(self, path: Path) -> None:
        """One operation a line, as JSON."""
        path.write_bytes(b"\n".join(msgspec.json.encode(op) for op in self.operations) + b"\n")

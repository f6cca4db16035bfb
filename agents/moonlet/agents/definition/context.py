"""What a handler may know beside state and message: derived from the commit, so replay-equal."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context:
    """Given to a handler whose parameter is named `context` or annotated `Context`.

    `now_us` is the commit's time in microseconds since 1970, in a query that of the last commit;
    `revision` is the agent's before this command; `sender` is a client's session or an agent's id.
    """

    __slots__ = (
        "_random",
        "command_id",
        "correlation_id",
        "now_us",
        "revision",
        "self_id",
        "sender",
    )

    def __init__(
        self,
        *,
        self_id: str,
        revision: int,
        now_us: int,
        command_id: str = "",
        sender: str = "",
        correlation_id: str = "",
    ) -> None:
        self.self_id = self_id
        self.revision = revision
        self.now_us = now_us
        self.command_id = command_id
        self.sender = sender
        self.correlation_id = correlation_id
        self._random: random.Random | None = None

    @property
    def now(self) -> datetime:
        """The commit's time: aware, UTC."""
        return _EPOCH + timedelta(microseconds=self.now_us)

    @property
    def random(self) -> random.Random:
        """A generator seeded by agent, revision and command: the same draws at every replay."""
        if self._random is None:
            self._random = random.Random(f"{self.self_id}:{self.revision}:{self.command_id}")
        return self._random

    def uuid(self) -> uuid.UUID:
        """A fresh UUID (version 4) drawn from `random`."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4)


class Moment(msgspec.Struct, gc=False):
    """The context of a handler that takes none: what `behavior.decide` itself needs of it."""

    now_us: int

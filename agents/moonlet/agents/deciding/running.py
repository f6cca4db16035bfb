"""What runs in a host's loop now, and is not ours: whoever watches the loop looks here.

A handler can't be interrupted, nor can the loop say that it doesn't turn. So what is about to run
is put here first, at the cost of an attribute; another thread looks.
"""

from typing import NamedTuple, Protocol

from moonlet.streams import Blocked


class WorkNote(NamedTuple):
    """What people, and marks, are told of it.

    `kind` is command, query or fold, `name` that of the message; `place` and `id` are a command's.
    """

    kind: str
    agent: str
    name: str
    place: str = ""
    id: str = ""

    def mark(
        self, *, host: str, seconds: float, limit: float, ended: bool, stack: str = ""
    ) -> Blocked:
        """The mark that it kept `host` for so many seconds, or ended it."""
        return Blocked(
            agent=self.agent,
            kind=self.kind,
            name=self.name,
            place=self.place,
            id=self.id,
            host=host,
            seconds=round(seconds, 3),
            limit=limit,
            ended=ended,
            stack=stack,
        )


class Work(Protocol):
    """A call of an agent's code."""

    def noted(self) -> WorkNote:
        """What it is, in words; may be asked from another thread."""
        ...


class Running:
    """One a host. `work` is set before an agent's code is called, and None after it."""

    def __init__(self) -> None:
        self.work: Work | None = None


class Asked:
    """A query that is being answered."""

    __slots__ = ("_agent", "_name")

    def __init__(self, agent: str, name: str) -> None:
        self._agent = agent
        self._name = name

    def noted(self) -> WorkNote:
        """See `Work`."""
        return WorkNote("query", self._agent, self._name)

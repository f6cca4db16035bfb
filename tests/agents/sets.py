"""An agent type that makes sets whose order is another whenever it is told so."""

from typing import Any

import msgspec
import pydantic

from moonlet.agents import AgentType, Decision, Publish, Reply, Send

ROWS: list[list[int]] = [[0, 8, 16], [16, 8, 0]]
"""Equal as sets, and iterated in the order in which they were put in, since their hashes collide.
"""

assert list(frozenset(ROWS[0])) != list(frozenset(ROWS[1]))


class Gather(msgspec.Struct, frozen=True):
    n: int


class Inner(msgspec.Struct, frozen=True, rename="camel"):
    some_tags: frozenset[int]
    label: str = ""


class Gathered(msgspec.Struct, frozen=True):
    tags: set[int]
    inner: list[Inner]
    nested: frozenset[tuple[int, ...]] = frozenset()
    by_name: dict[int, frozenset[int]] = {}


class Model(pydantic.BaseModel):
    tags: frozenset[int] = pydantic.Field(alias="the-tags")


class Looped(msgspec.Struct, frozen=True):
    names: list[int]


class Seen(msgspec.Struct, frozen=True):
    tags: frozenset[int] = frozenset()


def gathering(order: list[int], *, looped: bool = False, more: int = 0) -> AgentType[Any]:
    """Decides always the same, but for the order in which its sets were filled."""
    made: AgentType[Any] = AgentType("till", Seen, partitions=1)

    @made.on_command
    def gather(state: Seen, command: Gather) -> Decision:
        tags = frozenset([*order, *range(1, 1 + more)])
        yield Gathered(
            set(tags),
            [Inner(tags), Inner(tags, "b")],
            frozenset([(n, n + 1) for n in order]),
            {7: tags},
        )
        yield Model.model_validate({"the-tags": tags})
        yield Send("till/other", Inner(tags))
        yield Publish("topic", Inner(tags))
        if looped:
            yield Looped(list(tags))
        yield Reply({"tags": tags, "pair": (tags, 1)})

    @made.on_event
    def seen(state: Seen, event: Gathered | Model) -> Seen:
        return Seen(state.tags | event.tags)

    @made.on_event
    def looped_over(state: Seen, event: Looped) -> Seen:
        return state

    return made

"""What one client is promised without the tokens of others, and what views promise: checks."""

from collections.abc import Mapping, Sequence

Final = Mapping[str, Sequence[int]]


class Sessions:
    """What each client has seen; a violation is an AssertionError that says it.

    Reads are checked at once against what the client saw before, and at the end, against the final
    lists: all that was ever read was committed.
    """

    def __init__(self) -> None:
        self._read: list[tuple[str, tuple[int, ...]]] = []
        self._views: list[dict[str, frozenset[int]]] = []
        self._lengths: dict[tuple[int, str], int] = {}
        self._own: dict[tuple[int, str], set[int]] = {}

    def wrote(self, client: int, agent: str, number: int, numbers: Sequence[int] = ()) -> None:
        """A client learned that its own number was appended, and what was there then."""
        self._own.setdefault((client, agent), set()).add(number)
        if numbers:
            self.read(client, agent, numbers)

    def begin(self, client: int, agent: str) -> int:
        """How much the client has seen before it asks."""
        return self._lengths.get((client, agent), 0)

    def read(self, client: int, agent: str, numbers: Sequence[int], *, at_least: int = 0) -> None:
        """A client was shown these, having asked when it knew of `at_least`."""
        assert len(numbers) >= at_least, f"{agent} went back from {at_least} to {len(numbers)}"
        self._read.append((agent, tuple(numbers)))
        key = client, agent
        self._lengths[key] = max(len(numbers), self._lengths.get(key, 0))

    def owns(self, client: int, agent: str) -> frozenset[int]:
        """What the client knows to be appended by itself."""
        return frozenset(self._own.get((client, agent), ()))

    def viewed(self, numbers: Mapping[str, Sequence[str]]) -> None:
        """A view held these."""
        self._views.append({key: frozenset(map(int, found)) for key, found in numbers.items()})

    def check(self, final: Final) -> None:
        """Everything that was read is the beginning of what there is at the end."""
        for agent, read in self._read:
            there = tuple(final.get(agent, ()))[: len(read)]
            assert read == there, f"{agent}: {read} was read, and {there} is there"
        for (_, agent), own in self._own.items():
            lost = own - set(final.get(agent, ()))
            assert not lost, f"{agent} lacks {sorted(lost)}, which was acknowledged"
        for agent, numbers in final.items():
            assert len(set(numbers)) == len(numbers), f"{agent} has some twice: {numbers}"
        for view in self._views:
            for key, seen in view.items():
                all_of_it = final.get(f"register/{key}", ())
                assert seen == set(all_of_it[: len(seen)]), f"a view had {sorted(seen)} of {key}"

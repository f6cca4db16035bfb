"""Our own judge of histories: what it must say yes and no to."""

from tests.consistency.history import NEVER, Operation
from tests.consistency.linearizable import unlinearizable


def append(number: int, start: int, end: int, numbers: list[int] | None = None) -> Operation:
    return Operation("r", 0, "append", number, 0, numbers, start=start, end=end)


def read(numbers: list[int], start: int, end: int) -> Operation:
    return Operation("r", 1, "read", numbers=numbers, start=start, end=end)


def test_what_one_order_explains_is_linearizable() -> None:
    concurrent = [append(1, 1, 6, [2, 1]), append(2, 2, 5), read([], 3, 4), read([2, 1], 7, 8)]
    assert unlinearizable(concurrent) == []


def test_a_read_that_is_older_than_what_was_acknowledged_is_not() -> None:
    assert unlinearizable([append(1, 1, 2, [1]), read([], 3, 4)]) == ["r"]


def test_a_read_that_goes_back_is_not() -> None:
    """Also where nobody knows whether the number was ever appended."""
    unknown = append(1, 1, NEVER)
    assert unlinearizable([unknown, read([1], 2, 3), read([], 4, 5)]) == ["r"]
    assert unlinearizable([unknown, read([], 2, 3), read([1], 4, 5)]) == []


def test_what_nobody_appended_or_was_appended_twice_is_not() -> None:
    assert unlinearizable([read([7], 1, 2)]) == ["r"]
    assert unlinearizable([append(1, 1, 2), read([1, 1], 3, 4)]) == ["r"]


def test_a_refusal_says_what_was_there() -> None:
    def refused(length: int, start: int) -> Operation:
        return Operation("r", 0, "append_if", 9, length, refused=True, start=start, end=start + 1)

    assert unlinearizable([append(1, 1, 2), refused(0, 3)]) == []
    assert unlinearizable([append(1, 1, 2), refused(1, 3)]) == ["r"]


def test_agents_are_judged_alone() -> None:
    """Nothing is promised across them."""
    other = Operation("s", 1, "read", numbers=[], start=5, end=6)
    assert unlinearizable([append(1, 1, 2, [1]), other]) == []

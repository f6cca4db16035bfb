"""Sets have no order: who decides anew may write them in another one."""

from typing import Any

import pytest

from moonlet.agents.deciding.otherwise import PAIRS_MAX, first_otherwise
from tests.agents.sets import ROWS, Gather, gathering
from tests.agents.test_verify import Book, faults


def test_sets_in_events_effects_and_replies_are_compared_as_sets() -> None:
    book = Book(gathering(ROWS[0])).write(Gather(1), Gather(2))
    found, verification = faults(book.messages, gathering(ROWS[1]))
    assert (found, verification.decided) == ([], 2)


def test_another_set_is_a_difference_that_names_its_place() -> None:
    book = Book(gathering(ROWS[0], more=1)).write(Gather(1))
    [fault], _ = faults(book.messages, gathering([*ROWS[1], 24]))
    assert fault.event == "Gathered"
    assert "event 1 differs at $.tags[...]: 1 was in it, and is not" in fault.message
    assert fault.message.endswith("its handler is gather")


def test_a_list_that_was_made_by_going_over_a_set_is_a_difference() -> None:
    book = Book(gathering(ROWS[0], looped=True)).write(Gather(1))
    [fault], _ = faults(book.messages, gathering(ROWS[1], looped=True))
    assert fault.event == "Looped"
    assert "event 3 differs at $.names[0]: it was 0, and is 16" in fault.message


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ([1, 2], [2, 1], {1, 2}),
        ([[1, [2, 3]]], [[1, [3, 2]]], frozenset({(1, frozenset({2, 3}))})),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": {1, 2}}),
        ([[1, 2], [3, 4]], [[4, 3], [2, 1]], {frozenset({3, 4}), frozenset({1, 2})}),
    ],
)
def test_a_set_is_found_wherever_it_lies(old: Any, new: Any, value: Any) -> None:
    if old == [[1, 2], [3, 4]]:
        new = [[2, 1] if 1 in item else [4, 3] for item in value]
    assert first_otherwise(old, new, value) == ""
    assert first_otherwise(old, new, None) != ""


def test_large_sets_are_compared_at_once() -> None:
    many = list(range(100 * PAIRS_MAX))
    assert first_otherwise(many, many[::-1], set(many)) == ""
    assert "$[...]: 0 was in it" in first_otherwise(many, [*many[1:], -1], set(many))

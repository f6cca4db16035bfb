"""Faults as people read them."""

from moonlet.simulations.faults import Fault, in_lines

SECOND = 10**9


def test_skews_of_one_clock_are_shown_with_their_sum() -> None:
    lines = in_lines(
        [
            Fault(0, "skew", "h1", 60 * SECOND),
            Fault(SECOND, "skew", "h2", -SECOND),
            Fault(2 * SECOND, "skew", "h1", 60 * SECOND),
            Fault(3 * SECOND, "crash", "h1", SECOND),
            Fault(4 * SECOND, "skew", "h1", -30 * SECOND),
        ]
    )
    assert [line.partition("now ")[2] for line in lines] == [
        "", "", "120s off in all", "", "90s off in all",
    ]  # fmt: skip

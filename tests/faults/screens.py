"""Faults in what the terminal UI shows, and in reading commits for it."""

from tests.faults.fault import Fault

SCREENS = "tests/console/test_tui.py::"

SCREEN_FAULTS: tuple[Fault, ...] = (
    Fault(
        "time travel",
        SCREENS + "test_a_long_way_tells_how_far_it_is_and_ends_when_it_is_left",
        "what is read for nobody any more is read to its end",
        (
            (
                "console/moonlet/console/tui/apart.py",
                "if self._stopped.is_set():",
                "if False:",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_paging.py::"
        "test_what_makes_no_sense_is_told_at_its_place_and_the_rest_is_read",
        "a record that makes no sense counts as no revision",
        (
            (
                "replay/moonlet/replay/sources/paging.py",
                "if said or number not in found:",
                "if said:",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/console/test_output.py::test_text_from_outside_is_not_obeyed_by_a_terminal",
        "a command prints what it was told as it is",
        (
            (
                "console/moonlet/console/common/output.py",
                "if self.json else _inert(text)",
                "if self.json else text",
            ),
        ),
    ),
)

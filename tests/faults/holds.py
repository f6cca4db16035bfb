"""Faults in what holds whatever is wrong: every call's end, versions side by side, far limits."""

from tests.faults.commands import STREAMS
from tests.faults.fault import Fault

TIMEOUTS = "tests/agents/test_timeouts.py::"

HOLD_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P10",
        TIMEOUTS + "test_every_public_call_ends_in_time_whatever_is_wrong",
        "whose time is over waits until the reader of a history is gone",
        (
            (
                STREAMS + "reading/messages.py",
                "await reader.close(wait=not left)",
                "await reader.close(wait=True)",
            ),
        ),
    ),
)

"""Planted faults: for each promise test, a change of the code under which it must fail.

`make planted` carries each out on a copy of the tree and runs the test there. A fault whose old
text is not found any more is an error too, so that this table can't rot unseen.
"""

from tests.faults.bounds import BOUND_FAULTS
from tests.faults.calls_and_clocks import CALL_AND_CLOCK_FAULTS
from tests.faults.cohorts import COHORT_FAULTS
from tests.faults.commands import COMMAND_FAULTS
from tests.faults.consistency import CONSISTENCY_FAULTS
from tests.faults.fault import Fault
from tests.faults.holds import HOLD_FAULTS
from tests.faults.intruders import INTRUDER_FAULTS
from tests.faults.keyframes import KEYFRAME_FAULTS
from tests.faults.logs import LOG_FAULTS
from tests.faults.memory import MEMORY_FAULTS
from tests.faults.neighbours import NEIGHBOUR_FAULTS
from tests.faults.reads import READ_FAULTS
from tests.faults.screens import SCREEN_FAULTS
from tests.faults.states import STATE_FAULTS
from tests.faults.telemetry import TELEMETRY_FAULTS
from tests.faults.time_travel import TIME_TRAVEL_FAULTS
from tests.faults.topics import TOPIC_FAULTS
from tests.faults.topology import TOPOLOGY_FAULTS
from tests.faults.views import VIEW_FAULTS_ALL
from tests.faults.waiting import WAITING_FAULTS
from tests.faults.waking import WAKING_FAULTS
from tests.faults.web import WEB_FAULTS

FAULTS: tuple[Fault, ...] = (
    *COMMAND_FAULTS,
    *BOUND_FAULTS,
    *INTRUDER_FAULTS,
    *CONSISTENCY_FAULTS,
    *VIEW_FAULTS_ALL,
    *TOPOLOGY_FAULTS,
    *CALL_AND_CLOCK_FAULTS,
    *NEIGHBOUR_FAULTS,
    *WAITING_FAULTS,
    *STATE_FAULTS,
    *READ_FAULTS,
    *WAKING_FAULTS,
    *MEMORY_FAULTS,
    *TIME_TRAVEL_FAULTS,
    *KEYFRAME_FAULTS,
    *COHORT_FAULTS,
    *SCREEN_FAULTS,
    *TELEMETRY_FAULTS,
    *HOLD_FAULTS,
    *LOG_FAULTS,
    *WEB_FAULTS,
    *TOPIC_FAULTS,
)

__all__ = ["FAULTS", "Fault"]

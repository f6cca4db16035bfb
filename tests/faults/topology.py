"""Faults in what stands on the server and who may change it: topology, journals, versions."""

from tests.faults.commands import STREAMS
from tests.faults.fault import Fault

TOPOLOGY_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_a_host_that_starts_plainly_changes_nothing_of_what_was_asked_for",
        "a host goes by what it was told, whatever stands",
        (
            (
                STREAMS + "admin/topology_record.py",
                "        )\n    return standing\n",
                "        )\n    return told\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_who_is_told_otherwise_than_what_stands_is_refused_by_name",
        "what is said otherwise is passed over",
        ((STREAMS + "admin/topology_record.py", "    if differences:\n", "    if False:\n"),),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_sizes_change_by_apply_alone_and_twice_is_harmless",
        "a host brings streams to what was asked for by itself",
        (
            (
                STREAMS + "admin/topology_record.py",
                'await carry_out(bus, [step for step in steps if step.action != "update"])',
                "await carry_out(bus, steps)",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_an_agent_type_with_a_history_does_not_change_its_journal",
        "nobody looks whether a type has commits",
        (
            (
                STREAMS + "admin/topology_plan.py",
                "            if _home_of(wanted, type_) != stream:",
                "            if False:",
            ),
        ),
    ),
)

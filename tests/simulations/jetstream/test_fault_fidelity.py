"""The simulated half of `fault_fidelity.py`, which `make fidelity` runs against a real cluster."""

from tests.simulations.jetstream.fault_fidelity import in_worlds


def test_in_hurt_worlds_what_was_acknowledged_is_stored_once() -> None:
    outcomes = in_worlds(10)
    assert {"stored", "NoAnswer", "reading: Disconnected"} <= set(outcomes)

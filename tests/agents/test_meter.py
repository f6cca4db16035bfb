"""What is counted of commands is bounded, whatever names a foreign client makes up."""

import pytest

from moonlet.agents.services import TypeMeter, meter


def test_names_beyond_the_limit_count_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "NAMES_MAX", 2)
    counted = TypeMeter()
    for name in ("Deposit", "Withdraw", "made-up-1", "made-up-2", "Deposit"):
        counted.commands.get(name, counted.times_of(name)).observe(0.001)
    counts = {name: sum(times.counts) for name, times in counted.commands.items()}
    assert counts == {"Deposit": 2, "Withdraw": 1, "other": 2}

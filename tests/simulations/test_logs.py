"""What the framework logs inside a run."""

import asyncio

import pytest

from moonlet.simulations import SimulationRun
from moonlet.telemetry.log import get_logger


def test_a_log_line_bears_the_time_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        await asyncio.sleep(1.5)
        get_logger("here").warning("it_happened")

    SimulationRun(1, watch=True).run(main)
    line = capsys.readouterr().err
    assert "2023-11-14T22:13:21.500000Z" in line and "it_happened" in line

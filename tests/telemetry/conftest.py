"""Fixtures of the tests of telemetry."""

import logging
from collections.abc import Iterator

import pytest

from moonlet.telemetry import configure
from moonlet.telemetry.kept import day_file as day_files
from moonlet.telemetry.kept import keeper as keeper_module


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No lines on stderr, and what is in the way is tried again soon."""
    configure(logging.CRITICAL)
    monkeypatch.setattr(keeper_module, "RETRY", 0.05)
    monkeypatch.setattr(day_files, "BUSY_SECONDS", 0.05)
    yield

"""The test printed in docs/simulation.md: it passes, and says so when what it asserts is wrong."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from moonlet.simulations.search import SimulationFailed
from tests.tools import markdown, tree
from tests.tools.markdown_types import named

PAGES = tuple(
    markdown.parse(Path("docs") / name, tree.read(tree.ROOT / "docs" / name))
    for name in ("agents.md", "simulation.md")
)
SOURCES = named(PAGES)


def module(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the pages, as if it were a file."""
    made = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


@pytest.fixture(autouse=True)
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's hundred are for users."""
    monkeypatch.setenv("MOONLET_SEEDS", "6")
    module("orders", SOURCES["orders.py"], monkeypatch)


def test_the_pages_first_test_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = module("test_orders", SOURCES["test_orders.py"], monkeypatch)
    printed.test_no_order_is_lost_or_doubled()


def test_the_pages_first_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = SOURCES["test_orders.py"].replace("== 20", "== 21")
    printed = module("test_orders", wrong, monkeypatch)
    with pytest.raises(SimulationFailed, match="seed 0"):
        printed.test_no_order_is_lost_or_doubled()


def test_the_page_on_workloads_and_plans_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = module("test_any_orders", SOURCES["test_any_orders.py"], monkeypatch)
    printed.test_any_orders()
    printed.test_any_orders_under_any_few_faults()


def test_the_handler_that_asks_for_the_time_fails_as_the_page_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = module("test_stamps", SOURCES["test_stamps.py"], monkeypatch)
    with pytest.raises(SimulationFailed) as failed:
        printed.test_stamps()
    (shown,) = [code.text for code in PAGES[1].codes if code.text.startswith("Impure: ")]
    told = str(failed.value).splitlines()[1].replace("test_stamps:", "test_stamps.py:")
    assert told == " ".join(shown.split())


def test_the_pages_first_test_takes_15_lines() -> None:
    lines = [line for line in SOURCES["test_orders.py"].splitlines() if line]
    assert len(lines) - 1 <= 15  # its file's name is none

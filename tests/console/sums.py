"""A folder with a running host and the code of two views, one of which an event may stop."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.console.support import BANK, Ended, finish, first_line, invoke, run, start

VIEWS = """
from bank import Deposited
from moonlet.projections import At, Fields, LexCounter, ORMap, View

totals = View("totals", version=1, by_account=ORMap[LexCounter], total=LexCounter)

@totals.on_event
def deposited(view: Fields, event: Deposited, at: At) -> None:
    view.by_account[str(at.agent)].add(event.amount)
    view.total.add(event.amount)

fragile = View("fragile", version=1, total=LexCounter)

@fragile.on_event
def unlucky(view: Fields, event: Deposited, at: At) -> None:
    if event.amount == 13:
        raise ValueError("unlucky")
    view.total.add(event.amount)
"""
MODULES = ("--module", "bank.py", "--module", "sums.py")


def deposit(folder: Path, key: str, amount: int) -> None:
    body = json.dumps({"amount": amount})
    asked = run("ask", f"account/{key}", "Deposit", body, *MODULES[:2], folder=folder)
    assert asked.code == 0, asked


@contextmanager
def running_bank(folder: Path, *deposits: tuple[str, int]) -> Iterator[Path]:
    """The folder, while its host runs, after these deposits."""
    (folder / "bank.py").write_text(BANK)
    (folder / "sums.py").write_text(VIEWS)
    process = start("run", "bank.py", folder=folder)
    try:
        first_line(process)
        for key, amount in deposits:
            deposit(folder, key, amount)
        yield folder
    finally:
        process.terminate()
        finish(process)


def view(*arguments: str) -> Ended:
    return invoke("view", *arguments, *MODULES)


def record(*arguments: str) -> dict[str, Any]:
    ended = view(*arguments, "--json")
    assert ended.code == 0, ended
    return ended.records[-1]

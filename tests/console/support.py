"""What the tests of the console share: a small module of agents, commands run here or apart."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from moonlet.console.app import app

BANK = """
import msgspec
from moonlet.agents import AgentType, Decision, Rejected, Reply

class Deposit(msgspec.Struct, frozen=True):
    amount: int

class Deposited(msgspec.Struct, frozen=True):
    amount: int

class GetBalance(msgspec.Struct, frozen=True):
    pass

class Account(msgspec.Struct, frozen=True):
    balance: int = 0

account = AgentType("account", Account)

@account.on_command
def deposit(state: Account, command: Deposit) -> Decision:
    if command.amount <= 0:
        raise Rejected("amount must be positive")
    yield Deposited(command.amount)
    yield Reply(state.balance + command.amount)

@account.on_event
def deposited(state: Account, event: Deposited) -> Account:
    return Account(state.balance + event.amount)

@account.on_query
def get_balance(state: Account, query: GetBalance) -> int:
    return state.balance
"""

ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if key != "MOONLET_NATS_URL"},
    "XDG_CONFIG_HOME": "/nonexistent",
    "COLUMNS": "200",
    "MOONLET_NATIVE": "off",  # the pages show what everybody sees
}
COMMAND = [sys.executable, "-m", "moonlet.console"]


class Ended:
    """A command that ended: its exit code, what it printed, and what it said beside."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def invoke(*arguments: str) -> Ended:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def run(*arguments: str, folder: Path, timeout: float = 60.0, stdin: str = "") -> Ended:
    """Run a command as a process of its own, to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """Start a command that goes on; end it with `finish`."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    """What it prints first: it is up then."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, err = process.communicate(timeout=10)
        raise AssertionError(f"it ended with {process.returncode}: {err}")
    return line


def finish(process: "subprocess.Popen[str]") -> None:
    """Leave nothing of it behind, whatever the test did."""
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


def wait_until(condition: Callable[[], bool], *, timeout: float) -> None:
    """Wait until `condition` holds; fail after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.02)  # sleeps: between two looks


def processes_of(mark: str) -> list[str]:
    """The command lines of living processes that hold `mark`."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    own = str(os.getpid())
    return [
        line.strip()
        for line in listing.stdout.splitlines()
        if mark in line and line.split()[0] != own
    ]

# mypy: ignore-missing-imports, allow-subclassing-any, allow-untyped-decorators
"""The account in pyeventsourcing, as its manual says, on SQLite, with its aggregate cache on."""

import tempfile
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from tests.benchmarks.world import Stopwatch


class Account(Aggregate):
    def __init__(self) -> None:
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        self.balance += amount


class Bank(Application[UUID]):
    def open(self) -> UUID:
        account = Account()
        self.save(account)
        return account.id

    def deposit(self, id: UUID, amount: int) -> int:
        if amount <= 0:
            raise ValueError("amount must be positive")
        account: Account = self.repository.get(id)
        account.deposit(amount)
        self.save(account)
        return account.balance


def run(agents: int, count: int) -> float:
    """Deposits a second on a database file of its own."""
    with tempfile.TemporaryDirectory(prefix="moonlet-bench-") as folder:
        bank = Bank(
            env={
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(Path(folder) / "bank.db"),
                "AGGREGATE_CACHE_MAXSIZE": str(agents),
            }
        )
        ids = [bank.open() for _ in range(agents)]
        watch = Stopwatch()
        for index in range(count):
            assert bank.deposit(ids[index % agents], 5) == 5 * (index // agents + 1)
        taken = watch.stop()
        bank.close()
    return count / taken

"""Double entry: every entry's postings sum to zero, so all balances together always do too."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from moonlet.satellites.common import value_of
from moonlet.satellites.fuel.messages import Lot, OpenBooks, Posting
from moonlet.satellites.messages import TradeExecuted

EQUITY: Final = "equity:opening"
TREASURY: Final = "holdings:treasury"
COLLATERAL: Final = "holdings:collateral"
LOANS: Final = "loans:positions"
TRANSIT: Final = "transit:capital"
GAINS: Final = "gains:realized"
GAS: Final = "expense:gas"
OWED: Final = "payable:gas"

WASH_SECONDS: Final = 30 * 24 * 3_600
"""Buying back within thirty days of a loss sale, before or after it, undoes the loss for tax."""


def cash(wallet: str) -> str:
    """The account of a wallet's cash."""
    return f"cash:{wallet}"


def entry(*postings: tuple[str, int]) -> tuple[Posting, ...]:
    """Postings that sum to zero, those of nothing left out."""
    kept = tuple(Posting(account, amount) for account, amount in postings if amount)
    assert sum(posting.amount for posting in kept) == 0, kept
    return kept


def post(balances: Mapping[str, int], postings: Iterable[Posting]) -> dict[str, int]:
    """The balances after an entry."""
    after = dict(balances)
    for posting in postings:
        after[posting.account] = after.get(posting.account, 0) + posting.amount
    return after


def opening(command: OpenBooks) -> tuple[Posting, ...]:
    """The opening entry: what is owned less what is owed is equity."""
    owned = [(cash(wallet), amount) for wallet, amount in sorted(command.wallets.items())]
    owned.append((TREASURY, sum(lot.cost for lot in command.lots)))
    owned.append((COLLATERAL, command.collateral))
    owned.append((LOANS, -command.loans))
    return entry(*owned, (EQUITY, -sum(amount for _, amount in owned)))


def sale_of_collateral(
    done: TradeExecuted, balances: Mapping[str, int], amount: int
) -> tuple[Posting, ...]:
    """Collateral leaves at its average cost and pays debt; what is beyond the debt is cash.

    `amount` is how much collateral is in the books.
    """
    book = balances.get(COLLATERAL, 0)
    sold = min(done.trade.amount, amount)
    cost = book * sold // amount if amount else 0
    paid = min(done.proceeds, done.trade.debt)
    return entry(
        (LOANS, paid),
        (cash(done.chain), done.proceeds - paid),
        (COLLATERAL, -cost),
        (GAINS, cost - done.proceeds),
    )


def sale_of_lot(done: TradeExecuted, lot: Lot) -> tuple[Posting, ...]:
    """A lot leaves at its cost; the difference to its price is realized."""
    return entry(
        (cash(done.chain), done.proceeds),
        (TREASURY, -lot.cost),
        (GAINS, lot.cost - done.proceeds),
    )


def gas_paid(wallet: str, amount: int, balances: Mapping[str, int]) -> tuple[Posting, ...]:
    """Gas is paid from the wallet as far as its cash goes; the rest is owed."""
    paid = min(amount, max(balances.get(cash(wallet), 0), 0))
    return entry((GAS, amount), (cash(wallet), -paid), (OWED, paid - amount))


def unrealized(lot: Lot, price: int) -> int:
    """What selling a lot at a price would gain; a loss is negative."""
    return value_of(lot.amount, price) - lot.cost


def is_wash(at: int, others: Sequence[int]) -> bool:
    """Whether a time lies within thirty days of another."""
    return any(abs(at - other) <= WASH_SECONDS for other in others)

"""Fuel: debits equal credits, cash is never overdrawn, losses are harvested, wash sales blocked."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from moonlet.satellites import fuel
from moonlet.satellites.common import MICRO
from moonlet.satellites.fuel.ledger import WASH_SECONDS
from moonlet.satellites.fuel.messages import (
    BatchTransactions,
    CapitalDeployed,
    CapitalReturned,
    EntryPosted,
    GasForecast,
    GasPriceForecast,
    HarvestDropped,
    HarvestTaxLosses,
    Lot,
    OpenBooks,
    OptimizeGas,
    RebalancePortfolio,
    RebalanceProposed,
    RotateWallet,
    TaxLossHarvested,
    TaxLossHarvestProposed,
    TaxReport,
    WalletAnomaly,
    WalletHealth,
    WashSaleBlocked,
)
from moonlet.satellites.messages import (
    AllocateCapital,
    GasPrices,
    Prices,
    SettleTransfer,
    Trade,
    TradeExecuted,
    TradeFailed,
)
from tests.satellites.play import Play

K = 1_000 * MICRO
LONG_AGO = 1_640_995_200
NIGHT = 1_678_500_000


def books() -> OpenBooks:
    return OpenBooks(
        wallets={"ethereum": 500 * K, "arbitrum": 100 * K},
        lots=(Lot("lot-1", "USDC", 40 * K, 40 * K, LONG_AGO),),
        collateral=1_000 * K,
        collateral_amount=1_000 * K,
        loans=700 * K,
    )


def opened() -> Play[Any]:
    play = Play(fuel)
    play.do(books())
    return play


def price(play: Play[Any], thousandths: int, tick: int = 1, at: int = NIGHT) -> Any:
    return play.do(Prices("USDC", thousandths * 1_000, tick, at), sender="oracle/main")


def sold(trade: Trade, at: int, gas: int = 3 * MICRO) -> TradeExecuted:
    return TradeExecuted(trade, 1, at, trade.amount * at // MICRO, gas, NIGHT, "ethereum")


def reduction(amount: int, debt: int) -> Trade:
    return Trade("r1", "reduce", "USDC", "sell", amount, MICRO, 1, 1, position="p1", debt=debt)


def ask(request: str, amount: int, use: str = "arbitrage", at: int = NIGHT) -> AllocateCapital:
    return AllocateCapital(request, "ethereum", amount, use, "USDC", at)  # type: ignore[arg-type]


def test_the_books_open_once_in_balance() -> None:
    play = opened()
    (entry,) = play.events(EntryPosted)
    assert sum(posting.amount for posting in entry.postings) == 0
    assert play.state.balances["equity:opening"] == -940 * K
    assert play.do(books()).reason == "the books are open already"


def test_a_reduction_pays_debt_with_collateral_at_its_cost() -> None:
    play = opened()
    play.do(sold(reduction(100 * K, 200 * K), 900_000), sender="forge/main")
    state = play.state
    assert state.balances["loans:positions"] == -610 * K
    assert state.balances["holdings:collateral"] == 900 * K
    assert state.balances["gains:realized"] == 10 * K  # a debit: a loss
    assert state.balances["expense:gas"] == 3 * MICRO
    assert state.balances["cash:ethereum"] == 500 * K - 3 * MICRO


def test_what_a_sale_brings_beyond_the_debt_is_cash() -> None:
    play = opened()
    play.do(sold(reduction(100 * K, 60 * K), MICRO, gas=0), sender="forge/main")
    assert play.state.balances["loans:positions"] == -640 * K
    assert play.state.balances["cash:ethereum"] == 540 * K


def test_capital_is_set_aside_and_comes_back_with_its_gain() -> None:
    play = opened()
    step = play.do(ask("e1", 200 * K), sender="bridge/main")
    assert step.of(CapitalDeployed)[0].wallet == "ethereum"
    assert step.sends("CapitalGranted")[0][0] == "bridge/main"
    assert play.ask(WalletHealth())["set_aside"] == 200 * K
    assert "is open already" in play.do(ask("e1", K), sender="bridge/main").reason
    back = SettleTransfer("e1", "arbitrum", 202 * K)
    assert "from bridge/main only" in play.do(back).reason
    step = play.do(back, sender="bridge/main")
    assert step.of(CapitalReturned)[0].gain == 2 * K
    health = play.ask(WalletHealth())
    assert health["wallets"] == {"arbitrum": 302 * K, "ethereum": 300 * K}
    assert health["is_balanced"] and health["set_aside"] == 0
    assert "is not open" in play.do(back, sender="bridge/main").reason


def test_more_than_a_wallet_holds_is_an_anomaly_and_denied() -> None:
    step = opened().do(ask("e1", 501 * K), sender="bridge/main")
    assert step.of(WalletAnomaly) == [WalletAnomaly("ethereum", 501 * K, 500 * K)]
    assert "not $501,000.00" in step.sends("CapitalDenied")[0][1]["reason"]
    assert step.of(EntryPosted) == []


def test_a_client_that_asks_is_answered_by_the_reply() -> None:
    step = opened().do(ask("e1", K))
    assert step.effects == []
    assert step.reply == {"request": "e1", "amount": K}


def test_a_lot_that_lost_enough_is_proposed_once_sold_and_blocks_buying_back() -> None:
    play = opened()
    assert price(play, 951).of(TaxLossHarvestProposed) == []
    step = price(play, 950, tick=2)
    (proposed,) = step.of(TaxLossHarvestProposed)
    assert proposed.loss == 2 * K
    trade = Trade(**step.sends("ExecuteOptimizedTransaction")[0][1]["trade"])
    assert price(play, 940, tick=3).of(TaxLossHarvestProposed) == []
    step = play.do(sold(trade, 940_000), sender="forge/main")
    assert step.of(TaxLossHarvested)[0].loss == 2_400 * MICRO
    assert play.ask(TaxReport())["lots"] == {}
    late = NIGHT + WASH_SECONDS
    step = play.do(ask("b1", K, "buy", late), sender="pulse/main")
    assert step.of(WashSaleBlocked)[0].sold == NIGHT
    assert "a wash sale" in step.sends("CapitalDenied")[0][1]["reason"]
    step = play.do(ask("b1", 94 * K, "buy", late + 1), sender="pulse/main")
    assert len(step.sends("CapitalGranted")) == 1
    assert play.state.lots["b1"].amount == 100 * K
    assert play.state.balances["holdings:treasury"] == 94 * K


def test_arbitrage_is_no_purchase_and_is_not_blocked() -> None:
    play = opened()
    trade = Trade(**price(play, 900).sends("ExecuteOptimizedTransaction")[0][1]["trade"])
    play.do(sold(trade, 900_000), sender="forge/main")
    assert len(play.do(ask("e1", K), sender="bridge/main").sends("CapitalGranted")) == 1


def test_a_purchase_within_thirty_days_forbids_the_harvest() -> None:
    play = opened()
    price(play, 1_000)
    play.do(ask("b1", K, "buy", NIGHT), sender="pulse/main")
    assert price(play, 900, tick=2).of(TaxLossHarvestProposed) == []
    assert play.do(HarvestTaxLosses("USDC")).reply == []


def test_a_harvest_that_failed_is_proposed_again_only_on_demand() -> None:
    play = opened()
    trade = Trade(**price(play, 940).sends("ExecuteOptimizedTransaction")[0][1]["trade"])
    assert play.do(TradeFailed(trade, "no"), sender="forge/main").of(HarvestDropped)
    assert price(play, 900, tick=2).of(TaxLossHarvestProposed) == []
    assert play.do(HarvestTaxLosses("USDC", 1_000)).reply == ["lot-1"]
    assert "no price of ETH" in play.do(HarvestTaxLosses("ETH")).reason


def test_gas_is_smoothed_and_told_when_it_moved_by_a_tenth() -> None:
    play = opened()
    assert "no gas price" in play.do(OptimizeGas("ethereum")).reason
    assert len(play.do(GasPrices("ethereum", 10_000_000, 1)).of(GasPriceForecast)) == 1
    assert play.do(GasPrices("ethereum", 12_000_000, 2)).of(GasPriceForecast) == []
    assert len(play.do(GasPrices("ethereum", 20_000_000, 3)).of(GasPriceForecast)) == 1
    assert play.ask(GasForecast()) == 12_320_000
    assert play.do(OptimizeGas("ethereum", 100_000)).reply["cost"] == 1_232_000
    saved = play.do(BatchTransactions("ethereum", 11)).reply
    assert saved == {"gas": 210_000, "saved": 2_587_200}


def test_gas_that_no_cash_is_left_for_is_owed() -> None:
    play = opened()
    play.do(ask("e1", 500 * K), sender="bridge/main")
    play.do(sold(reduction(K, K), MICRO, gas=5 * MICRO), sender="forge/main")
    assert play.state.balances["cash:ethereum"] == 0
    assert play.state.balances["payable:gas"] == -5 * MICRO


def test_a_drifted_portfolio_is_proposed_to_be_rebalanced() -> None:
    play = opened()
    targets = {"ethereum": 5_000, "arbitrum": 5_000}
    step = play.do(RebalancePortfolio(targets))
    assert step.of(RebalanceProposed) == [RebalanceProposed("ethereum", "arbitrum", 200 * K)]
    assert play.do(RebalancePortfolio(targets, drift=4_000)).events == []
    assert "add up" in play.do(RebalancePortfolio({"ethereum": 1})).reason


def test_a_rotated_wallet_takes_no_more_and_what_returns_goes_to_its_successor() -> None:
    play = opened()
    play.do(ask("e1", 100 * K), sender="bridge/main")
    assert play.do(RotateWallet("ethereum", "vault")).reply == 400 * K
    play.do(SettleTransfer("e1", "ethereum", 100 * K), sender="bridge/main")
    assert play.ask(WalletHealth())["wallets"] == {"arbitrum": 100 * K, "vault": 500 * K}
    assert "no wallet ethereum" in play.do(RotateWallet("ethereum", "new")).reason
    assert "is not fresh" in play.do(RotateWallet("vault", "arbitrum")).reason


amounts = st.integers(1, 300 * K)
requests = st.sampled_from(["e1", "e2", "b1", "b2"])
wallets = st.sampled_from(["ethereum", "arbitrum"])
choices = st.one_of(
    st.builds(ask, requests, amounts, st.sampled_from(["arbitrage", "buy"])),
    st.builds(SettleTransfer, st.sampled_from(["e1", "e2"]), wallets, st.integers(0, 400 * K)),
    st.builds(
        sold,
        st.builds(reduction, amounts, amounts),
        st.integers(500_000, 1_500_000),
        st.integers(0, 400 * K),
    ),
    st.integers(800, 1_100),
    st.builds(RotateWallet, st.sampled_from(["ethereum", "v1"]), st.sampled_from(["v1", "v2"])),
    st.just("harvest"),
)


@settings(max_examples=100)
@for_all(st.lists(choices, max_size=30))
def test_debits_equal_credits_and_no_cash_is_overdrawn_after_every_event(
    steps: list[Any],
) -> None:
    play = opened()
    price(play, 1_000, tick=0)
    waiting: list[Trade] = []
    for tick, choice in enumerate(steps, 1):
        if isinstance(choice, int):
            sends = price(play, choice, tick).sends("ExecuteOptimizedTransaction")
            waiting += [Trade(**body["trade"]) for _, body in sends]
        elif choice == "harvest":
            for trade in waiting:
                play.do(sold(trade, 900_000), sender="forge/main")
            waiting = []
        elif isinstance(choice, TradeExecuted):
            play.do(choice, sender="forge/main")
        else:
            play.do(choice, sender="bridge/main")
        balances = play.state.balances
        assert sum(balances.values()) == 0
        assert play.state.debits == play.state.credits
        assert all(amount >= 0 for name, amount in balances.items() if name.startswith("cash:"))
        set_aside = sum(amount for _, amount in play.state.requests.values())
        assert balances.get("transit:capital", 0) == set_aside
        assert balances.get("holdings:treasury", 0) == sum(
            lot.cost for lot in play.state.lots.values()
        )
    for entry in play.events(EntryPosted):
        assert sum(posting.amount for posting in entry.postings) == 0
    assert [e.entry for e in play.events(EntryPosted)] == list(
        range(1, len(play.events(EntryPosted)) + 1)
    )

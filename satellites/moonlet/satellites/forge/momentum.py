"""The momentum strategy: hold an asset while it trades above the mean of its last closes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from moonlet.satellites.common import BPS, ratio
from moonlet.satellites.forge.messages import Action, StrategyBacktested, TradingSignal

WINDOW: Final = 6
"""Closes that a signal looks back on."""

STRONG: Final = 300
"""A distance from the mean (basis points) that counts as full strength."""

FLAT: Final = 25
"""A distance from the mean (basis points) below which nothing is done."""


class Bar(Struct, frozen=True):
    """One close of an asset."""

    tick: int
    at: int
    close: int


def signal(asset: str, bars: Sequence[Bar]) -> TradingSignal:
    """What momentum says after the last bar; 'hold' until the window is full."""
    window = [bar.close for bar in bars[-WINDOW:]]
    last = bars[-1]
    mean = sum(window) // len(window)
    distance = (last.close - mean) * BPS // mean
    action: Action = "hold"
    if len(window) == WINDOW and abs(distance) >= FLAT:
        action = "buy" if distance > 0 else "sell"
    falls = sum(after < before for before, after in pairwise(window))
    agreeing = falls if distance < 0 else len(window) - 1 - falls
    return TradingSignal(
        asset,
        last.tick,
        action,
        strength=min(abs(distance) * BPS // STRONG, BPS),
        confidence=ratio(max(agreeing, 0), max(len(window) - 1, 1)),
        risk_level=min(ratio(max(window) - min(window), mean) * 10, BPS),
    )


def backtest(bars: Sequence[Bar], window: int, capital: int) -> StrategyBacktested:
    """Trade all bars; the capital is all in or all out, and trades are free."""
    cash, held, trades = capital, 0, 0
    for index in range(window, len(bars)):
        close = bars[index].close
        mean = sum(bar.close for bar in bars[index - window : index]) // window
        if close > mean and cash:
            held, cash, trades = cash * BPS // close, 0, trades + 1
        elif close <= mean and held:
            cash, held, trades = held * close // BPS, 0, trades + 1
    final = cash + (held * bars[-1].close // BPS if held else 0)
    return StrategyBacktested(window, len(bars), trades, final)

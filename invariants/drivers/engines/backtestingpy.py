"""backtesting.py: each trade is a bar of one price; the strategy acts in ``next``, after the bar was matched.

The engine has no latency and no expiry, and wakes a strategy with data only, so that nothing but the order of the
events matters. With ``hedging`` every execution opens a position of its own, which names its order; without it the
engine does not tell which order closed what. The first bar wakes nobody, so one without meaning stands before the
tape. Fees are told at the closing of a position only: none is driven.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
from backtesting import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    Backtest,
    Strategy,
)

Values = dict[str, Any]

CASH = 1e30
"""So much that no scenario is short of it."""


def prepare(_variant: str) -> Callable[[Values], list[Values]]:
    """One back-test a scenario."""
    warnings.simplefilter("ignore")  # statistics of a few bars, positions that stay open
    return replay


def replay(scenario: Values) -> list[Values]:
    """The engine's entries, in the order in which it made them."""
    tape = [event for event in scenario["tape"] if event["type"] == "trade"]
    if not tape:
        return []  # without data the engine does not start
    instants = {trade["ns"] for trade in tape}
    for action in scenario["actions"]:
        if action["ns"] not in instants:
            raise ValueError(f"the engine wakes nobody at {action['ns']}")
    fills: list[Values] = []
    Backtest(_bars(tape), Script, cash=CASH, hedging=True).run(
        tape=tape, actions=scenario["actions"], fills=fills, sent={}
    )
    return fills


def _bars(tape: list[Values]) -> pd.DataFrame:
    """The tape, a second a trade, behind its first price once more."""
    prices = [float(trade["price_ticks"]) for trade in (tape[0], *tape)]
    seconds = pd.date_range("2000-01-01", periods=len(prices), freq="s")
    return pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close"), prices), index=seconds)


class Script(Strategy):  # type: ignore[misc,unused-ignore]
    """Submits and cancels at their instants, after the last bar of each."""

    tape: list[Values] = []  # noqa: RUF012 - the engine wants its parameters declared so
    actions: list[Values] = []  # noqa: RUF012
    fills: list[Values] = []  # noqa: RUF012
    sent: dict[int | str, Any] = {}  # noqa: RUF012

    def init(self) -> None:
        """No indicators."""

    def next(self) -> None:
        """One more bar was matched."""
        seen = len(self.data) - 1
        self._tell()
        now = self.tape[seen - 1]["ns"]
        if seen < len(self.tape) and self.tape[seen]["ns"] == now:
            return  # the tape comes before actions
        for action in self.actions:
            if action["ns"] == now:
                self._act(action)

    def _tell(self) -> None:
        """Every entry that was not told before: nothing here closes one."""
        for entry in self.trades[len(self.fills) :]:
            self.fills.append(
                {
                    "ns": self.tape[entry.entry_bar - 1]["ns"],
                    "order_id": entry.tag,
                    "side": "buy" if entry.is_long else "sell",
                    "price_ticks": _whole(entry.entry_price),
                    "size_lots": _whole(abs(entry.size)),
                }
            )

    def _act(self, action: Values) -> None:
        name = action["order_id"]
        if action["type"] == "submit":
            send = self.buy if action["side"] == "buy" else self.sell
            self.sent[name] = send(size=action["size_lots"], limit=float(action["price_ticks"]), tag=name)
        elif self.sent.get(name) in self.orders:  # of an order that is not there a strategy has nothing to cancel
            self.sent[name].cancel()


def _whole(value: float) -> int:
    """A whole number as the engine has it; raises where it has a fraction."""
    if value != int(value):
        raise ValueError(f"off the grid: {value!r}")
    return int(value)

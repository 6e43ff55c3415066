"""backtrader: each trade is a tick, a bar of one price; the strategy acts in ``next``, after the tick was matched.

The engine has no latency and wakes a strategy with data only, so that nothing but the order of the events
matters. Each instant of the tape, or at which an order expires, gets a second of its own (the engine's clock,
float days, is too coarse for nanoseconds), and a fill is told at the instant that its second stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import backtrader as bt  # type: ignore[import-not-found,import-untyped,unused-ignore]

Values = dict[str, Any]

CASH = 1e30
"""So much that no scenario is short of it."""

START = datetime(2000, 1, 1)  # noqa: DTZ001 - the engine's own time has no zone


def prepare(_variant: str) -> Callable[[Values], list[Values]]:
    """One engine a scenario: it costs about a millisecond."""
    return replay


def replay(scenario: Values) -> list[Values]:
    """The engine's executions, in the order in which it told the strategy of them."""
    tape = [event for event in scenario["tape"] if event["type"] == "trade"]
    if not tape:
        return []  # without data the engine does not start
    instants = sorted({trade["ns"] for trade in tape})
    for action in scenario["actions"]:
        if action["ns"] not in instants:
            raise ValueError(f"the engine wakes nobody at {action['ns']}")
    clock = {ns: START + timedelta(seconds=i) for i, ns in enumerate(sorted({*instants, *_expiries(scenario)}))}
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.set_cash(CASH)
    cerebro.broker.setcommission(commission=float(scenario["rules"]["fee_rate"]))
    cerebro.adddata(Ticks(tape, clock))
    cerebro.addstrategy(Script, tape, scenario, clock)
    return list(cerebro.run()[0].fills)


def _expiries(scenario: Values) -> list[int]:
    """The last instant of each order's life."""
    ttl_ns = scenario["rules"]["ttl_ns"]
    submits = [action["ns"] for action in scenario["actions"] if action["type"] == "submit"]
    return [] if ttl_ns is None else [ns + ttl_ns for ns in submits]


class Ticks(bt.feed.DataBase):  # type: ignore[misc,unused-ignore]
    """The trades of a scenario, a bar of one price each."""

    params = (("timeframe", bt.TimeFrame.Ticks),)

    def __init__(self, tape: list[Values], clock: dict[int, datetime]) -> None:
        super().__init__()
        self._rows = iter([(bt.date2num(clock[t["ns"]]), float(t["price_ticks"]), float(t["size_lots"])) for t in tape])

    def _load(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        day, price, size = row
        for line, value in (("datetime", day), ("volume", size), ("openinterest", 0.0)):
            getattr(self.lines, line)[0] = value
        for line in ("open", "high", "low", "close"):
            getattr(self.lines, line)[0] = price
        return True


class Script(bt.Strategy):  # type: ignore[misc,unused-ignore]
    """Submits and cancels at their instants, after the last tick of each."""

    def __init__(self, tape: list[Values], scenario: Values, clock: dict[int, datetime]) -> None:
        self._tape, self._actions, self._seconds = tape, scenario["actions"], clock
        self._ttl_ns = scenario["rules"]["ttl_ns"]
        self._ns_of = {bt.date2num(when): ns for ns, when in clock.items()}
        self._sent: dict[int | str, Any] = {}
        self._names: dict[int, int | str] = {}
        self.fills: list[Values] = []

    def next(self) -> None:
        """One more tick was matched."""
        seen = len(self.data)
        now = self._tape[seen - 1]["ns"]
        if seen < len(self._tape) and self._tape[seen]["ns"] == now:
            return  # the tape comes before actions
        for action in self._actions:
            if action["ns"] == now:
                self._act(action)

    def _act(self, action: Values) -> None:
        name = action["order_id"]
        if action["type"] == "submit":
            send = self.buy if action["side"] == "buy" else self.sell
            price = float(action["price_ticks"])
            valid = None if self._ttl_ns is None else self._seconds[action["ns"] + self._ttl_ns]
            order = send(size=action["size_lots"], price=price, exectype=bt.Order.Limit, valid=valid)
            self._sent[name], self._names[order.ref] = order, name
        elif name in self._sent:  # of an order that is not there yet a strategy has nothing to cancel
            self.cancel(self._sent[name])

    def notify_order(self, order: Any) -> None:
        """Every execution that was not told before."""
        for bit in order.executed.iterpending():
            self.fills.append(
                {
                    "ns": self._ns_of[bit.dt],
                    "order_id": self._names[order.ref],
                    "side": "buy" if bit.size > 0 else "sell",
                    "price_ticks": _whole(bit.price),
                    "size_lots": _whole(abs(bit.size)),
                    "fee": str(Decimal(bit.openedcomm + bit.closedcomm)),
                }
            )


def _whole(value: float) -> int:
    """A whole number as the engine has it; raises where it has a fraction."""
    if value != int(value):
        raise ValueError(f"off the grid: {value!r}")
    return int(value)

"""hftbacktest: trades without a book, without feed latency, so that orders stand first in their queue.

VARIANT names the exchange model: ``nopartial`` or ``partial``. Requests travel for the cancel latency of the
rules, answers come at once. A strategy sees its orders, no executions: what an order has left is read before and
after each instant, and a drop of it is told as one fill. The fee is what the account's fee grew by; where several
orders filled at one instant it cannot be told apart, and none is told.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    BUY,
    GTC,
    LIMIT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)

Values = dict[str, Any]

LATER_NS = 1_000_000_000
"""Added to all times: the engine's clock begins at its first event, and an action may come before all others."""

_AGGRESSOR = {"buy": BUY_EVENT, "sell": SELL_EVENT}


def prepare(variant: str) -> Callable[[Values], list[Values]]:
    """The replay of one exchange model, compiled by a scenario of nothing."""

    def replay(scenario: Values) -> list[Values]:
        return Replay(scenario, variant).fills()

    replay({"tape": [], "rules": {"cancel_latency_ns": 0, "fee_rate": "0"}, "actions": [
        {"type": "submit", "ns": 0, "order_id": 1, "side": "buy", "price_ticks": 1, "size_lots": 1},
        {"type": "submit", "ns": 0, "order_id": 2, "side": "sell", "price_ticks": 2, "size_lots": 1},
        {"type": "cancel", "ns": 0, "order_id": 1},
    ]})  # fmt: skip
    return replay


class Replay:
    """One scenario in one back-test; orders are numbered in the order of their submits, from 0."""

    def __init__(self, scenario: Values, variant: str) -> None:
        self._tape, self._actions = scenario["tape"], scenario["actions"]
        self._instants = sorted({event["ns"] for event in (*self._tape, *self._actions)})
        # the engine keeps the address of this array and nothing else: freed too early, it reads what is there then
        self._data = np.array(_rows(self._tape, self._instants), dtype=event_dtype)
        self._engine = HashMapMarketDepthBacktest([asset_of(self._data, scenario["rules"], variant)])
        self._engine.elapse(0)  # to the first event: the clock runs from there
        self._submits: list[Values] = []
        self._left: list[int] = []
        self._fee = 0.0
        self._fills: list[Values] = []

    def fills(self) -> list[Values]:
        """Go through all instants, the tape of each before its actions."""
        for ns in self._instants:
            self._come_to(ns)
            for action in self._actions:
                if action["ns"] == ns:
                    self._act(action)
                    self._come_to(ns)  # at zero latency the answer is there at once
        self._engine.close()
        return self._fills

    def _come_to(self, ns: int) -> None:
        """Let the engine reach an instant, and tell what its orders lost on the way."""
        told = len(self._fills)
        _check(self._engine.elapse(ns + LATER_NS - self._engine.current_timestamp), f"elapse to {ns}")
        for number, submit in enumerate(self._submits):
            order = self._engine.orders(0).get(number)
            left = _whole(order.leaves_qty)
            if left != self._left[number]:
                self._fills.append(
                    {
                        "ns": int(order.exch_timestamp) - LATER_NS,
                        "order_id": submit["order_id"],
                        "side": "buy" if order.side == BUY else "sell",
                        "price_ticks": _whole(order.exec_price),
                        "size_lots": self._left[number] - left,
                    }
                )
                self._left[number] = left
        fee = self._engine.state_values(0).fee
        if len(self._fills) == told + 1:
            self._fills[told]["fee"] = str(Decimal(fee - self._fee))
        self._fee = fee

    def _act(self, action: Values) -> None:
        if action["type"] == "submit":
            send = self._engine.submit_buy_order if action["side"] == "buy" else self._engine.submit_sell_order
            number, size = len(self._submits), action["size_lots"]
            _check(send(0, number, float(action["price_ticks"]), float(size), GTC, LIMIT, False), "submit")
            self._submits.append(action)
            self._left.append(size)
            return
        for number, submit in enumerate(self._submits):
            # an order that is over is in nobody's hands: the engine's examples ask `cancellable` first
            if submit["order_id"] == action["order_id"] and self._engine.orders(0).get(number).cancellable:
                _check(self._engine.cancel(0, number, False), "cancel")


def asset_of(data: Any, rules: Values, variant: str) -> Any:
    """The instrument: one tick, one lot, the rules' latency and fee, the exchange model of the variant."""
    rate = float(rules["fee_rate"])
    asset = BacktestAsset().data([data]).linear_asset(1.0).tick_size(1.0).lot_size(1.0)
    asset = asset.constant_order_latency(rules["cancel_latency_ns"], 0)
    asset = asset.risk_adverse_queue_model().trading_value_fee_model(rate, rate)
    return asset.partial_fill_exchange() if variant == "partial" else asset.no_partial_fill_exchange()


def _rows(tape: list[Values], instants: list[int]) -> list[tuple[Any, ...]]:
    """The tape as the engine's events; before it one that does nothing, behind it one that is not reached."""
    first, last = (instants[0], instants[-1]) if instants else (0, 0)
    rows = [row_of(DEPTH_CLEAR_EVENT, first - 1, 0, 0)]
    for event in tape:
        if event["type"] != "trade":
            raise ValueError("tops of book are not driven")
        kind = TRADE_EVENT | {"buy": BUY_EVENT, "sell": SELL_EVENT}[event["aggressor"]]
        rows.append(row_of(kind, event["ns"], event["price_ticks"], event["size_lots"]))
    return [*rows, row_of(DEPTH_CLEAR_EVENT, last + 1, 0, 0)]


def row_of(kind: int, ns: int, price: int, size: int) -> tuple[Any, ...]:
    """One event of the engine's, at the exchange and here at once."""
    return (kind | EXCH_EVENT | LOCAL_EVENT, ns + LATER_NS, ns + LATER_NS, float(price), float(size), 0, 0, 0.0)


def _check(code: int, what: str) -> None:
    if code != 0:
        raise RuntimeError(f"{what}: the engine answered {code}")


def _whole(value: float) -> int:
    """A whole number as the engine has it; raises where it has a fraction."""
    if value != int(value):
        raise ValueError(f"off the grid: {value!r}")
    return int(value)

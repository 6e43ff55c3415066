"""hftbacktest as its users write it: the strategy is a compiled loop, and orders are looked at when all is over.

The suite's driver asks after every instant instead, from Python. An order fills as a whole here
(``no_partial_fill_exchange``), so that its last state tells all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    BUY,
    FILLED,
    GTC,
    LIMIT,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)
from numba import njit  # type: ignore[import-not-found,import-untyped,unused-ignore]

Values = dict[str, Any]

# by path, as the file is called like the engine and must not stand in its way
_DRIVER = run_path(str(Path(__file__).parents[3] / "invariants" / "drivers" / "engines" / "hftbacktest.py"))
LATER_NS, asset_of, row_of = (_DRIVER[name] for name in ("LATER_NS", "asset_of", "row_of"))

CANCEL, SUBMIT_BUY, SUBMIT_SELL = 0, 1, -1


def replay(scenario: Values) -> list[Values]:
    """One scenario in one back-test."""
    return load(scenario)()


def load(scenario: Values) -> Callable[[], list[Values]]:
    """A back-test of the tape, and the actions as arrays for the loop."""
    data = np.array(_rows(scenario), dtype=event_dtype)
    actions = np.array(_actions(scenario["actions"]), dtype=np.int64).reshape(-1, 5)
    names = [action["order_id"] for action in scenario["actions"] if action["type"] == "submit"]
    engine = HashMapMarketDepthBacktest([asset_of(data, scenario["rules"], "nopartial")])

    def run() -> list[Values]:
        # the engine keeps the address of the data and nothing else: they must live until here
        fills = _play(engine, actions, len(names), int(data["exch_ts"][-1]) - 1)
        engine.close()
        return [_fill(row, names) for row in sorted(fills.tolist())]

    return run


@njit  # type: ignore[misc,unused-ignore]
def _play(engine: Any, actions: Any, orders: int, end_ns: int) -> Any:
    """Send every action at its instant, then read which orders were filled."""
    engine.elapse(0)
    for row in range(len(actions)):
        kind, number, price, size = actions[row, 1], actions[row, 2], float(actions[row, 3]), float(actions[row, 4])
        engine.elapse(actions[row, 0] - engine.current_timestamp)
        if kind == SUBMIT_BUY:
            engine.submit_buy_order(0, number, price, size, GTC, LIMIT, False)
        elif kind == SUBMIT_SELL:
            engine.submit_sell_order(0, number, price, size, GTC, LIMIT, False)
        else:
            order = engine.orders(0).get(number)
            if order is not None and order.cancellable:
                engine.cancel(0, number, False)
    engine.elapse(end_ns - engine.current_timestamp)
    fills = np.zeros((orders, 5), np.int64)
    count = 0
    for number in range(orders):
        order = engine.orders(0).get(number)
        if order is not None and order.status == FILLED:
            side = 1 if order.side == BUY else -1
            fills[count] = (order.exch_timestamp, number, side, round(order.exec_price), round(order.qty))
            count += 1
    return fills[:count]


def _fill(row: list[int], names: list[Any]) -> Values:
    ns, number, side, price, size = row
    return {
        "ns": ns - LATER_NS,
        "order_id": names[number],
        "side": "buy" if side > 0 else "sell",
        "price_ticks": price,
        "size_lots": size,
    }


def _actions(actions: list[Values]) -> list[tuple[int, ...]]:
    numbers: dict[Any, int] = {}
    rows = []
    for action in actions:
        ns, name = action["ns"] + LATER_NS, action["order_id"]
        if action["type"] == "submit":
            numbers[name] = len(numbers)
            kind = SUBMIT_BUY if action["side"] == "buy" else SUBMIT_SELL
            rows.append((ns, kind, numbers[name], action["price_ticks"], action["size_lots"]))
        elif name in numbers:  # of an order that is not there yet a strategy has nothing to cancel
            rows.append((ns, CANCEL, numbers[name], 0, 0))
    return rows


def _rows(scenario: Values) -> list[tuple[Any, ...]]:
    """The tape as the engine's events; before it one that does nothing, behind it one that is not reached."""
    instants = [event["ns"] for event in (*scenario["tape"], *scenario["actions"])]
    rows = [row_of(DEPTH_CLEAR_EVENT, min(instants, default=0) - 1, 0, 0)]
    best = {BUY_EVENT: 0, SELL_EVENT: 0}
    for event in scenario["tape"]:
        if event["type"] == "trade":
            kind = TRADE_EVENT | {"buy": BUY_EVENT, "sell": SELL_EVENT}[event["aggressor"]]
            rows.append(row_of(kind, event["ns"], event["price_ticks"], event["size_lots"]))
            continue
        for side, name in ((BUY_EVENT, "bid"), (SELL_EVENT, "ask")):
            price = event[f"{name}_ticks"]
            if best[side] not in (0, price):
                rows.append(row_of(DEPTH_EVENT | side, event["ns"], best[side], 0))
            rows.append(row_of(DEPTH_EVENT | side, event["ns"], price, event[f"{name}_lots"]))
            best[side] = price
    return [*rows, row_of(DEPTH_CLEAR_EVENT, max(instants, default=0) + 1, 0, 0)]

"""A run in the shape of the origin report's artifacts: ``markers.jsonl`` without ids, ``backtest.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from operator import itemgetter
from pathlib import Path

from invariants.report.write import write_atomically
from simcore import Instrument, OrderId, Run, Side
from simcore.run import ABSENT

NAMES = {"submits": "maker_quote_submissions", "cancels": "maker_quote_cancellations", "pnl": "strategy_total_pnl_jpy"}
"""The origin's own names of totals."""

EXPIRED = "quote_ttl_expired"
"""The reason of a cancel that is an expiry: the origin counts both as cancellations."""

_RANKS = {"fill": 0, "cancel": 1, "submit": 2}
"""What comes first at one instant."""


def write_markers(run: Run, folder: str | Path, *, reasons: Mapping[OrderId, str] | None = None) -> None:
    """Write both files into ``folder``. Raises ``InputError`` where that cannot be.

    ``reasons`` says why each order was withdrawn, for a maker that tells. Of such a run an expiry is a
    cancel marker too, as in the origin, where every quote ends in a fill or a cancellation. A maker
    with several quotes at one price must leave expiries out: without ids they would name each other.
    """
    marked = sorted(_markers(run, reasons), key=itemgetter(0, 1))
    lines = "".join(f"{line}\n" for _, _, line in marked)
    write_atomically(Path(folder) / "markers.jsonl", lines.encode())
    write_atomically(Path(folder) / "backtest.json", _backtest(run, reasons).encode())


def _markers(run: Run, reasons: Mapping[OrderId, str] | None) -> Iterator[tuple[int, int, str]]:
    """Every marker with its time and rank: at one instant fills, then cancels, then submits.

    A cancel that found its order already over left no marker: without ids it would name another.
    """
    orders, fills, marker = run.orders, run.fills, _marker_of(run.instrument)
    filled = (fills.ns, fills.side, fills.price_ticks, fills.size_lots)
    for ns, side, price, size in zip(*(column.tolist() for column in filled), strict=True):
        yield marker(ns, "fill", side, price, size, "trade_crossed")
    sent = (orders.submit_ns, orders.cancel_ns, orders.end_ns, orders.side, orders.price_ticks, orders.size_lots)
    rows = zip(orders.order_id.tolist(), orders.end_words, *(column.tolist() for column in sent), strict=True)
    for order_id, end, submit_ns, cancel_ns, end_ns, side, price, size in rows:
        if end == "cancelled" and cancel_ns != ABSENT:
            yield marker(cancel_ns, "cancel", side, price, size, (reasons or {}).get(order_id, "stale_quote"))
        elif end == "expired" and reasons is not None:
            yield marker(end_ns, "cancel", side, price, size, EXPIRED)
        yield marker(submit_ns, "submit", side, price, size, "maker_quote")


def _marker_of(instrument: Instrument) -> Callable[[int, str, int, int, int, str], tuple[int, int, str]]:
    """What writes a marker on this grid; every price, size and second is put in words once."""
    price_of = cache(lambda ticks: f"{instrument.price(ticks):f}")
    size_of = cache(lambda lots: f"{instrument.size(lots):f}")
    second_of = cache(lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}")

    def marker(ns: int, kind: str, side: int, price_ticks: int, size_lots: int, reason: str) -> tuple[int, int, str]:
        # Written by hand: the json module has no exact decimals.
        seconds, rest = divmod(ns, 1_000_000_000)
        line = (
            f'{{"ts": "{second_of(seconds)}.{_digits(rest)}Z", "kind": "{kind}", "side": "{Side(side).name}", '
            f'"price": {price_of(price_ticks)}, "size": {size_of(size_lots)}, "reason": "{reason}"}}'
        )
        return ns, _RANKS[kind], line

    return marker


def _digits(rest_ns: int) -> str:
    """The part of a second with as many digits as it needs: three, six or nine."""
    digits = f"{rest_ns:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return digits


def _backtest(run: Run, reasons: Mapping[OrderId, str] | None) -> str:
    """The totals, with rules and grid: what an audit of the markers needs beside them."""
    cancels = run.reported["orders_cancelled"] + (0 if reasons is None else run.reported["orders_expired"])
    markers = run.reported["submits"] + cancels + run.reported["fills"]
    reported = {**run.reported, "cancels": cancels, "markers": markers}
    document = {
        "name": run.name,
        "instrument": {"tick_size": str(run.instrument.tick_size), "lot_size": str(run.instrument.lot_size)},
        "rules": run.rules.to_dict(),
        "run": {"end_ns": run.end_ns, "last_event_ns": run.last_event_ns, "exit_code": run.exit_code},
        "reported": {NAMES.get(name, name): _number(value) for name, value in reported.items()},
    }
    return json.dumps(document, indent=1) + "\n"


def _number(value: Decimal) -> int | str:
    return int(value) if value == value.to_integral_value() else str(value)

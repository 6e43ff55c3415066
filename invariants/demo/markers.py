"""A run in the shape of the origin report's artifacts: ``markers.jsonl`` without ids, ``backtest.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from invariants.report.write import write_atomically
from simcore import Instrument, OrderId, Run, Side
from simcore.run import ABSENT

NAMES = {"submits": "maker_quote_submissions", "cancels": "maker_quote_cancellations", "pnl": "strategy_total_pnl_jpy"}
"""The origin's own names of totals."""


EXPIRED = "quote_ttl_expired"
"""The reason of a cancel that is an expiry: the origin counts both as cancellations."""


def write_markers(run: Run, folder: str | Path, *, reasons: Mapping[OrderId, str] | None = None) -> None:
    """Write both files into ``folder``. Raises ``InputError`` where that cannot be.

    ``reasons`` says why each order was withdrawn, for a maker that tells. Of such a run an expiry is a
    cancel marker too, as in the origin, where every quote ends in a fill or a cancellation. A maker
    with several quotes at one price must leave expiries out: without ids they would name each other.
    """
    marked = sorted(_markers(run, reasons), key=lambda marker: marker[:2])
    lines = "".join(f"{line}\n" for _, _, line in marked)
    write_atomically(Path(folder) / "markers.jsonl", lines.encode())
    write_atomically(Path(folder) / "backtest.json", _backtest(run, reasons).encode())


def _markers(run: Run, reasons: Mapping[OrderId, str] | None) -> Iterator[tuple[int, int, str]]:
    """Every marker with its time and rank: at one instant fills come first, then cancels, then submits.

    A cancel that found its order already over left no marker: without ids it would name another.
    """
    orders, fills, instrument = run.orders, run.fills, run.instrument
    for row in range(len(fills)):
        price, size = int(fills.price_ticks[row]), int(fills.size_lots[row])
        yield _marker(int(fills.ns[row]), "fill", int(fills.side[row]), price, size, instrument, "trade_crossed")
    for row in range(len(orders)):
        side, price, size = int(orders.side[row]), int(orders.price_ticks[row]), int(orders.size_lots[row])
        if orders.end[row] == "cancelled" and orders.cancel_ns[row] != ABSENT:
            why = (reasons or {}).get(orders.order_id[row], "stale_quote")
            yield _marker(int(orders.cancel_ns[row]), "cancel", side, price, size, instrument, why)
        elif orders.end[row] == "expired" and reasons is not None:
            yield _marker(int(orders.end_ns[row]), "cancel", side, price, size, instrument, EXPIRED)
        yield _marker(int(orders.submit_ns[row]), "submit", side, price, size, instrument, "maker_quote")


def _marker(
    ns: int, kind: str, side: int, price_ticks: int, size_lots: int, instrument: Instrument, reason: str
) -> tuple[int, int, str]:
    # Written by hand: the json module has no exact decimals.
    price, size = f"{instrument.price(price_ticks):f}", f"{instrument.size(size_lots):f}"
    line = (
        f'{{"ts": "{_iso(ns)}", "kind": "{kind}", "side": "{Side(side).name}", '
        f'"price": {price}, "size": {size}, "reason": "{reason}"}}'
    )
    return ns, ("fill", "cancel", "submit").index(kind), line


def _iso(ns: int) -> str:
    """UTC with as many digits as the instant needs: three, six or nine."""
    seconds, rest = divmod(ns, 1_000_000_000)
    digits = f"{rest:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{digits}Z"


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

"""The reports of NautilusTrader as tables of a run: one row an order, one row an execution.

No report says when an order arrived at the venue; a fill with ``liquidity_side`` TAKER does, of its order.

``ts_init`` of an order is when the strategy made it, which is when it sent it; ``ts_last`` its last
event, the end of an order that is finished. CSV cells are text, Parquet cells typed; times are whole
nanoseconds or ISO-8601 in either. Fills come in order of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from invariants.readers import clock
from invariants.readers.nautilus_rows import FILL_COLUMNS, LIMIT, Row, fee_of, frame_of, number_or_none
from simcore import InputError
from simcore import pandas_later as pd
from simcore.run import Rejected
from simcore.units import INT64_MAX

ENDS = {
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
    "DENIED": "rejected",
    **dict.fromkeys(
        ("ACCEPTED", "PARTIALLY_FILLED", "SUBMITTED", "PENDING_CANCEL", "PENDING_UPDATE", "INITIALIZED"), "open"
    ),
}
SIDES = {"BUY": 1, "SELL": -1}
POSITION_SIDES = {"LONG": 1, "SHORT": -1, "FLAT": 0}

NAMES = {
    "orders": ("client_order_id", "type", "side", "quantity", "price", "status", "ts_init", "ts_last"),
    "fills": ("client_order_id", "trade_id", "order_side", "order_type", "last_qty", "last_px", "ts_event"),
    "positions": ("side", "quantity", "is_snapshot"),
}
"""The columns of each report that are read."""

OPTIONAL = ("commission", "currency", "liquidity_side", "time_in_force", "instrument_id")

ORDER_COLUMNS = ("order_id", "side", "price", "size", "submit_ns", "end_ns", "end", "row")


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """A report as a table of a run, and what else it says."""

    frame: pd.DataFrame
    rejected: tuple[Rejected, ...] = ()
    ttl_ns: str | None = None
    taken: tuple[int, ...] = ()
    """The rows of ``frame`` that are fills as a TAKER."""
    others: Mapping[str, str] = field(default_factory=dict)
    """The orders that are left out, by id, each with its kind."""
    other_fills: tuple[str, ...] = ()
    """The orders of the fills that are left out."""


def nothing_of(report: str) -> pd.DataFrame:
    """A report of this name without rows."""
    return pd.DataFrame({name: pd.Series([], dtype=object) for name in NAMES[report]})


def orders_of(frame: pd.DataFrame, *, file: str, others: Mapping[str, str] | None = None) -> Report:
    """The orders, in the order of their submission; without those of another type, and the ``others``."""
    listed = _rows(frame, file, NAMES["orders"])
    given = others or {}
    found = {row.text("client_order_id"): row.text("type") for row in listed if row.text("type") != LIMIT}
    rows = [row for row in listed if row.text("client_order_id") not in given.keys() | found.keys()]
    records = sorted((_order(row) for row in rows), key=lambda record: record[4])
    lasting = all(not _expires(row) for row in rows)
    return Report(frame_of(ORDER_COLUMNS, records), ttl_ns="none" if lasting else None, others=found)


def _order(row: Row) -> tuple[Any, ...]:
    end = ENDS.get(row.text("status"))
    if end is None:
        raise row.refused("status", f"one of {', '.join(ENDS)}")
    end_ns = None if end == "open" else _ns(row, "ts_last")
    return (
        row.text("client_order_id"), row.text("side"), row.amount("price"), row.amount("quantity"),
        _ns(row, "ts_init"), end_ns, end, row.number,
    )  # fmt: skip


def _expires(row: Row) -> bool:
    return row.cells.get("time_in_force") in ("GTD", "DAY", "AT_THE_CLOSE")


def fills_of(frame: pd.DataFrame, *, file: str, others: Mapping[str, str] | None = None) -> Report:
    """The fills, in order of time, without those of other types and of ``others``; a repeated trade id is rejected."""
    found = dict(others or {})
    left_out: list[str] = []
    seen: set[str] = set()
    records: list[tuple[tuple[int, int, int], tuple[Any, ...], bool]] = []
    rejected: list[Rejected] = []
    for row in _rows(frame, file, NAMES["fills"]):
        trade_id, order_id = row.text("trade_id"), row.text("client_order_id")
        if trade_id in seen:
            rejected.append(
                Rejected("fills", file, row.number, "trade_id", trade_id, "an execution id never used before")
            )
            continue
        seen.add(trade_id)
        if order_id in found or row.text("order_type") != LIMIT:
            found.setdefault(order_id, row.text("order_type"))
            left_out.append(order_id)
            continue
        records.append((*_fill(row), row.cells.get("liquidity_side") == "TAKER"))
    records.sort(key=lambda record: record[0])
    taken = [row for row, (_, _, takes) in enumerate(records) if takes]
    return Report(
        frame_of(FILL_COLUMNS, [record for _, record, _ in records]),
        tuple(rejected),
        taken=tuple(taken),
        others=found,
        other_fills=tuple(left_out),
    )


def with_arrivals(orders: pd.DataFrame, fills: Report) -> pd.DataFrame:
    """The orders with ``live_ns`` where a fill as a TAKER tells it; a limit order takes when it arrives, or never."""
    if not fills.taken:
        return orders
    order_ids, times = fills.frame["order_id"].tolist(), fills.frame["ns"].tolist()
    arrived = {order_ids[row]: times[row] for row in reversed(fills.taken)}
    live = [arrived.get(order_id) for order_id in orders["order_id"]]
    return orders.assign(live_ns=pd.Series(live, dtype=object))


def _fill(row: Row) -> tuple[tuple[int, int, int], tuple[Any, ...]]:
    ns, order_id, side = _ns(row, "ts_event"), row.text("client_order_id"), row.text("order_side")
    record = (ns, order_id, side, row.amount("last_px"), row.amount("last_qty"), fee_of(row), row.number)
    return row.place(ns), record


def totals_of(
    *, orders: Report | None, fills: Report | None, positions: pd.DataFrame | None, files: Mapping[str, str]
) -> dict[str, Any]:
    """What the reports add up to, by the names of ``invariants.readers.totals``."""
    totals: dict[str, Any] = {}
    if orders is not None:
        ends = orders.frame["end"].tolist()
        totals["submits"] = len(ends)
        totals |= {f"orders_{end}": ends.count(end) for end in dict.fromkeys(ENDS.values())}
    if fills is not None:
        sides = [SIDES.get(side) for side in fills.frame["side"]]
        totals |= {"fills": len(sides) + len(fills.rejected), "buys": sides.count(1), "sells": sides.count(-1)}
        sizes = [number_or_none(size) for size in fills.frame["size"]]
        if None not in sizes:
            totals["turnover"] = sum((size for size in sizes if size is not None), Decimal(0))
        fees = [fee for fee in fills.frame["fee"] if fee is not None]
        if len(fees) == len(sides) and fees:
            totals["fees"] = sum(fees, Decimal(0))
    if positions is not None and len(positions) and "is_snapshot" in positions:
        totals["position"] = _position(positions, files["positions"])
    return totals


def _position(frame: pd.DataFrame, file: str) -> Decimal:
    """The signed sum of the positions that stand at the end; a snapshot is one that was closed before."""
    total = Decimal(0)
    for row in _rows(frame, file, NAMES["positions"]):
        side, size = POSITION_SIDES.get(row.text("side")), number_or_none(row.amount("quantity"))
        if side is None:
            raise row.refused("side", " or ".join(POSITION_SIDES))
        if size is None:
            raise row.refused("quantity", "a finite number")
        if str(row.cells["is_snapshot"]) not in ("True", "False"):
            raise row.refused("is_snapshot", "True or False")
        if str(row.cells["is_snapshot"]) == "False":
            total += side * size
    return total


def _rows(frame: pd.DataFrame, file: str, names: tuple[str, ...]) -> list[Row]:
    """The rows of a report, cells as plain values, null as None."""
    for name in names:
        if name not in frame.columns:
            got = ", ".join(map(str, frame.columns)) or "no columns"
            raise InputError(file=file, field=name, got=got, wanted=f"a column {name!r}")
    wanted = [n for n in (*names, *OPTIONAL) if n in frame.columns]
    wanted = list(dict.fromkeys(wanted))
    columns = [_plain(frame[name]) for name in wanted]
    rows = [
        Row(file, row, dict(zip(wanted, cells, strict=True))) for row, cells in enumerate(zip(*columns, strict=True), 1)
    ]
    _check_instrument(rows)
    return rows


def _plain(column: pd.Series[Any]) -> list[Any]:
    return [None if null else value for value, null in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _check_instrument(rows: list[Row]) -> None:
    for row in rows:
        if row.cells.get("instrument_id") != rows[0].cells.get("instrument_id"):
            raise row.refused("instrument_id", f"one instrument in a run: {rows[0].cells['instrument_id']}")


def _ns(row: Row, name: str) -> int:
    """A time as nanoseconds: whole, a timestamp, or text of either."""
    value = row.cells[name]
    if isinstance(value, pd.Timestamp):
        value = value.tz_localize("UTC") if value.tzinfo is None else value
        return int(value.as_unit("ns").value)
    if isinstance(value, str):
        try:
            value = int(value) if value.isdecimal() and value.isascii() and len(value) < 20 else clock.ns_of(value)
        except ValueError:
            raise row.refused(name, f"{clock.WANTED}, or whole nanoseconds") from None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT64_MAX:
        raise row.refused(name, f"{clock.WANTED}, or whole nanoseconds")
    return value

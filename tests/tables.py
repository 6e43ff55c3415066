"""Runs and scenarios written as tables: the tiny language of these tests.

A row is one event; ``-`` and cells left out at the end of a row are missing::

    ns    event   id  side  price_ticks  size_lots
    1000  submit  O9  BUY   100          2
    1250  trade   -   -     100          2
    1250  fill    O9  BUY   100          2

Events: submit, cancel, trade, top (price and size as ``bid/ask``), fill, position (the engine's own
view; the size is the position). More columns: aggressor (of a trade), fee and trade_seq (of a fill),
live_ns, end_ns and end (of a submit). A fill that happened somewhere in an interval has ``1000..1050``
as its time. Rows are counted as ``Run.from_scenario`` counts them: in the tape, the actions, the fills.

The first line names the columns; where it is left out they are ns, event, id, side, price_ticks,
size_lots, aggressor. Rules are keywords. What is not said: no latency, no expiry, no cap.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pandas as pd

from simcore import Cancel, Fill, Rules, Run, Scenario, Side, Submit, TopOfBook, Trade

HEAD = ["ns", "event", "id", "side", "price_ticks", "size_lots", "aggressor"]
PLAIN = {"latency_ns": 0, "ttl_ns": None, "position_cap_lots": None}
DIALS = frozenset(f.name for f in fields(Rules))
STREAMS = {"trade": "tape", "top": "tape", "submit": "actions", "cancel": "actions"}
HEADS = {
    "trades": ("ns", "price", "size", "aggressor", "seq", "row"),
    "tops": ("ns", "bid", "bid_size", "ask", "ask_size", "row"),
    "orders": ("order_id", "side", "price", "size", "submit_ns", "live_ns", "cancel_ns", "end_ns", "end", "row"),
    "fills": ("ns", "ns_to", "order_id", "side", "price", "size", "fee", "trade_seq"),
    "positions": ("ns", "position"),
}

Row = dict[str, Any]


def plain_rules(**rules: Any) -> Rules:
    """The rules of a table: no latency, no expiry, no cap, and what is said."""
    return Rules(**{**PLAIN, **rules})


def rows_of(text: str) -> list[Row]:
    """The rows of a table as column -> cell, missing cells left out; ``row`` is the place in its stream."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    head = lines.pop(0) if lines and lines[0][0] == "ns" else HEAD
    counts: dict[str, int] = {}
    rows = []
    for cells in lines:
        row: Row = {name: cell for name, cell in zip(head, cells, strict=False) if cell != "-"}
        stream = STREAMS.get(row["event"], row["event"])
        counts[stream] = counts.get(stream, 0) + 1
        rows.append({**row, "row": counts[stream]})
    return rows


def table(text: str, *, has_tape: bool = True, **more: Any) -> Run:
    """The run that a table says, however wrong; keywords are dials, or what ``Run.from_frames`` takes."""
    rules = plain_rules(**{name: more.pop(name) for name in DIALS & more.keys()})
    tables: dict[str, list[Row]] = {name: [] for name in HEADS}
    for row in rows_of(text):
        _enter(tables, row)
    frames = {name: _frame(rows, HEADS[name]) for name, rows in tables.items()}
    if not has_tape:
        del frames["trades"]
    if not tables["positions"]:
        del frames["positions"]
    return Run.from_frames(**frames, rules=rules, **more)


def _enter(tables: dict[str, list[Row]], row: Row) -> None:
    """Put one row of text into its table."""
    event, price, size = row["event"], row.get("price_ticks"), row.get("size_lots")
    if event == "trade":
        tables["trades"].append({**row, "price": price, "size": size, "seq": row["row"] - 1})
    elif event == "top":
        (bid, ask), (bid_size, ask_size) = price.split("/"), size.split("/")
        tables["tops"].append({**row, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size})
    elif event == "submit":
        tables["orders"].append({**row, "order_id": row["id"], "price": price, "size": size, "submit_ns": row["ns"]})
    elif event == "cancel":
        for order in tables["orders"]:
            if order["id"] == row["id"]:
                order.setdefault("cancel_ns", row["ns"])
    elif event == "fill":
        ns, _, ns_to = row["ns"].partition("..")
        more = {"ns": ns, "ns_to": ns_to or ns, "order_id": row["id"], "price": price, "size": size}
        tables["fills"].append({**row, **more})
    else:
        assert event == "position", row
        tables["positions"].append({**row, "position": size})


def _frame(rows: list[Row], names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=list(names), dtype=object)


def scenario(text: str, **rules: Any) -> Scenario:
    """The scenario that a table says; its fills are what is expected, see ``fills_of``."""
    rows = rows_of(text)
    tape = [_tape_event(row) for row in rows if STREAMS.get(row["event"]) == "tape"]
    actions = [_action(row) for row in rows if STREAMS.get(row["event"]) == "actions"]
    return Scenario(tuple(tape), tuple(actions), plain_rules(**rules))


def fills_of(text: str) -> list[Fill]:
    """The fills of a table, in its order, without fee and trade_seq."""
    return [
        Fill(int(r["ns"]), name_of(r["id"]), Side[r["side"]], int(r["price_ticks"]), int(r["size_lots"]))
        for r in rows_of(text)
        if r["event"] == "fill"
    ]


def name_of(cell: str) -> int | str:
    """An order id: an int where it looks like one."""
    return int(cell) if cell.isdecimal() else cell


def _tape_event(row: Row) -> Trade | TopOfBook:
    ns = int(row["ns"])
    if row["event"] == "top":
        (bid, ask), (bid_size, ask_size) = (row[name].split("/") for name in ("price_ticks", "size_lots"))
        return TopOfBook(ns, int(bid), int(bid_size), int(ask), int(ask_size))
    taker = Side[row["aggressor"]] if "aggressor" in row else None
    return Trade(ns, int(row["price_ticks"]), int(row["size_lots"]), taker)


def _action(row: Row) -> Submit | Cancel:
    ns, name = int(row["ns"]), name_of(row["id"])
    if row["event"] == "cancel":
        return Cancel(ns, name)
    return Submit(ns, name, Side[row["side"]], int(row["price_ticks"]), int(row["size_lots"]))

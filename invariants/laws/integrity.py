"""Integrity: the rows are values, times and ids that can mean something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from invariants.laws.ruling import Claim, Mask, Ruling, kinds_of, let_order, nothing, rule_on, running_sum, side_word
from simcore.errors import shorten
from simcore.run import ABSENT, Ints, Rejected, Run, first_rows, id_at


def values_are_valid(run: Run) -> Iterator[Ruling]:
    """Why: one zero price or NaN size passes through a back-test silently and decides its result.

    Fails: a fill of size 0; a negative price; NaN; a price between two ticks.
    Passes: every size and price is a positive count of lots or ticks.
    Unknown: no rows at all.
    Source: vnpy/vnpy#100 (ask of 0 filled a buy at 0), nautechsystems/nautilus_trader#1587.
    """
    columns: dict[str, tuple[Any, ...]] = {
        "tape": (run.trades, "price_ticks", "size_lots"),
        "quotes": (run.tops, "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"),
        "orders": (run.orders, "price_ticks", "size_lots"),
        "fills": (run.fills, "price_ticks", "size_lots"),
    }
    for name, (table, *fields) in columns.items():
        values = np.array([getattr(table, field) for field in fields])
        bad = np.asarray(values <= 0)
        rows = np.arange(len(table))
        yield rule_on(name, rows, np.asarray(bad.any(axis=0)), partial(_not_positive, name, fields, values))
    yield from rejected_rows(run, "values_are_valid")


def _not_positive(table: str, fields: list[str], values: Ints, row: int) -> Claim:
    column = int(np.flatnonzero(values[:, row] <= 0)[0])
    field, got = fields[column], int(values[column, row])
    story = f"Let every price and size be positive. Then {field} is at least 1. Yet the row of {table} says {got}."
    return Claim(field, got, "at least 1", "", story)


def rejected_rows(run: Run, law: str) -> Iterator[Ruling]:
    """Rows that were read and could not be judged, as findings of the law that they break."""
    for table in dict.fromkeys(r.table for r in run.rejected):
        lost = [r for r in run.rejected if r.table == table and r.broken_law == law]
        if lost:
            rows = np.arange(len(lost), dtype=np.int64)
            places = tuple((r.file, r.row) for r in lost)
            yield Ruling(table, len(lost), rows, partial(_rejection, lost), places=places)


def _rejection(lost: list[Rejected], row: int) -> Claim:
    r = lost[row]
    story = (
        f"Let row {r.row} of {r.file} be part of the run. Then {r.field} is {r.wanted}. Yet it says {shorten(r.got)}."
    )
    return Claim(r.field, shorten(r.got), r.wanted, "", story)


def time_is_ordered(run: Run) -> Iterator[Ruling]:
    """Why: a stream that steps back lets a simulator use the future, or match an order before it exists.

    Fails: a tape, a list of orders or a list of fills with a row earlier than the row before it; a fill whose
    interval ends before it begins.
    Passes: each of the three never runs backwards; equal times are fine.
    Unknown: no rows at all.
    Source: nautechsystems/nautilus_trader#1515, nkaz001/hftbacktest#251.
    """
    submitted = np.flatnonzero(run.orders.submit_ns != ABSENT)
    sent_ns = run.orders.submit_ns[submitted]
    streams = (
        ("tape", "ns", run.trades.ns, run.trades.ns, np.arange(len(run.trades))),
        ("quotes", "ns", run.tops.ns, run.tops.ns, np.arange(len(run.tops))),
        ("orders", "submit_ns", sent_ns, sent_ns, submitted),
        ("fills", "ns", run.fills.ns, run.fills.ns_to, np.arange(len(run.fills))),
    )
    for table, field, begin_ns, end_ns, rows in streams:
        # a row's end against the latest beginning above it: the same where times are exact
        latest_ns = np.maximum.accumulate(begin_ns)
        back = np.zeros(len(rows), dtype=np.bool_)
        back[1:] = end_ns[1:] < latest_ns[:-1]
        back |= end_ns < begin_ns  # an interval may run backwards by itself
        yield rule_on(table, rows, back, partial(_backwards, table, field, rows, begin_ns, latest_ns, end_ns))


def _backwards(table: str, field: str, rows: Ints, begin_ns: Ints, latest_ns: Ints, end_ns: Ints, row: int) -> Claim:
    at = int(np.searchsorted(rows, row))
    begin = int(begin_ns[at])
    if end_ns[at] < begin:
        story = f"Let it happen at {begin} ns or later. Then it does not end before. Yet it ends at {end_ns[at]} ns."
        return Claim(f"{field}_to", int(end_ns[at]), f"at least {begin}", f"its {field}", story)
    before, got = int(latest_ns[at - 1]), int(end_ns[at])
    story = (
        f"Let the {table} be in the order in which they happened. Then no row is earlier than {before} ns, "
        f"which stands above it. Yet this one is at {got} ns."
    )
    return Claim(field, got, f"at least {before}", "a row above it is that late", story)


def order_ids_are_unique(run: Run) -> Ruling:
    """Why: an id that is used twice gives the second order the fate of the first.

    Fails: two submits with one id.
    Passes: every submit has an id of its own, also after the first order is finished.
    Unknown: no orders.
    Source: nkaz001/hftbacktest#12, nautechsystems/nautilus_trader#4294.
    """
    first = first_rows(run.orders.order_id)
    rows = np.arange(len(first))

    def tell(row: int) -> Claim:
        name = shorten(id_at(run.orders, row))
        story = f"Let order {name} be submitted. Then the id is spent. Yet a second submit uses it."
        has_it = f"orders row {run.orders.row[first[row]]} has it"
        return Claim("order_id", name, "an id never used before", has_it, story)

    return rule_on("orders", rows, first != rows, tell)


def fills_have_orders(run: Run) -> Iterator[Ruling]:
    """Why: a fill that no order asked for is a position out of nothing; one of the wrong side is its negative.

    Fails: a fill with an unknown id, or a SELL fill of a BUY order.
    Passes: each fill names a submitted order and has its side.
    By model: fills of no order that are ``closing``: the last of the run, which take the position to nothing.
    Unknown: no orders, or no fills.
    Source: nkaz001/hftbacktest#298 (every order through one path became a sell), vincent212/kaspar-hft#70.
    """
    fills, orders = run.fills, run.orders
    if not len(orders) and "orders" not in run.read:
        yield nothing("fills", undecided=len(fills), reason="no orders")
        return
    orphan = fills.order < 0
    turned = np.zeros(len(fills), dtype=np.bool_)
    turned[~orphan] = fills.side[~orphan] != orders.side[fills.order[~orphan]]

    def tell(row: int) -> Claim:
        if orphan[row]:
            name = shorten(id_at(fills, row))
            story = (
                f"Let the orders be all that was submitted. Then a fill names one of them. Yet this one names {name}."
            )
            return Claim("order_id", name, "the id of a submitted order", "", story)
        i = int(fills.order[row])
        story = f"{let_order(run, i)} Then its fills have its side. Yet it fills as {side_word(fills.side[row])}."
        return Claim(
            "side", side_word(fills.side[row]), side_word(orders.side[i]), f"order {id_at(orders, i)!r}", story
        )

    kinds = kinds_of(len(fills), closing=_closing(run, orphan))
    yield rule_on("fills", np.arange(len(fills)), orphan | turned, tell, kinds=kinds)
    yield from rejected_rows(run, "fills_have_orders")


def _closing(run: Run, orphan: Mask) -> Mask:
    """The last fills, where no order asked for them and each only brings the position nearer to nothing."""
    signed = run.fills.side * run.fills.size_lots
    after = run.rules.initial_position_lots + running_sum(signed)
    before = after - signed
    nearer = (np.abs(after) < np.abs(before)) & (np.sign(after) * np.sign(before) >= 0)
    tail = np.logical_and.accumulate((orphan & nearer.astype(np.bool_))[::-1])[::-1]
    return tail & bool(len(after) and after[-1] == 0)

"""backtrader's two logs: what ``notify_order`` was told, and the execution bits of every order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Self

import numpy as np

from invariants.readers.backtrader_feed import Feed
from invariants.readers.binary_sums import plain
from invariants.readers.engine_table import EngineTable, signed
from invariants.readers.floats import decimals_of, floats_of
from simcore import pandas_later as pd
from simcore.frames import SIDES
from simcore.run import Rejected

NOTIFIED = ("seen", "ref", "status", "side", "created_dt", "created_price", "created_size", "valid")
EXECUTED = ("ref", "i", "dt", "size", "price")
LIMIT = "Limit"
ENDS = {
    "submitted": "",
    "accepted": "",
    "partial": "",
    "completed": "filled",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "expired": "expired",
    "margin": "rejected",
    "rejected": "rejected",
}
"""The statuses, and the end that each stands for."""


@dataclass(eq=False, slots=True)
class _Order:
    """One order, as the first notification of it says; ``made`` are the cells that never change."""

    row: int
    made: tuple[Any, ...]
    created_ns: int
    valid_ns: int | None
    end: str = ""
    ended_by: str = ""
    ended_ns: int | None = None
    at_once: bool = False
    fee: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Orders:
    """The orders folded from their notifications, and the rows that say what no log can say.

    ``others`` are orders without a fixed limit (market, stop, ...) by their ``ref``, each with its kind.
    """

    frame: pd.DataFrame
    others: Mapping[int, str]
    rejected: tuple[Rejected, ...]
    partial: bool
    fees: Decimal | None


@dataclass(eq=False)
class _Fold:
    """Notifications, folded into orders in the order of the log."""

    log: EngineTable
    sizes: Sequence[Any]
    orders: dict[int, _Order] = field(default_factory=dict)
    others: dict[int, str] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def run(self) -> Self:
        """Take every row."""
        log = self.log
        price, size = log.numbers("created_price", nullable=True), self.sizes
        sides = [self._side(value, row) for row, value in enumerate(log.listed("side"), 1)]
        made = list(zip(log.times("created_dt"), price, size, sides, log.instants("valid", nullable=True), strict=True))
        executed = log.instants("exec_dt", nullable=True)
        fees = log.numbers("exec_comm", nullable=True)
        columns = [log.listed(str(name)) for name in log.frame.columns]
        known: set[tuple[Any, ...]] = set()
        rows = zip(log.wholes("ref"), self._statuses(), self._kinds(), log.times("seen"), strict=True)
        for at, (ref, status, kind, seen) in enumerate(rows):
            cells = tuple(repr(column[at]) for column in columns)
            if cells in known:
                self._reject(at + 1, "ref", ref, "a notification never logged before")
                continue
            known.add(cells)
            if self._is_other(ref, kind, at + 1):
                continue
            if price[at] is None:
                raise log.refused("created_price", at + 1, None, "a number; else the exectype, which is no Limit")
            self._take(ref, status, at + 1, made[at], seen if executed[at] is None else executed[at], fees[at])
            self.orders[ref].at_once |= status == "canceled" and executed[at] == seen
        return self

    def _side(self, value: Any, row: int) -> int:
        side = SIDES.get(value.strip().casefold() if isinstance(value, str) else value)
        if side is None:
            raise self.log.refused("side", row, value, "buy or sell")
        return side

    def _statuses(self) -> Iterator[str]:
        for row, status in enumerate(self.log.listed("status"), 1):
            word = status.strip().casefold() if isinstance(status, str) else ""
            if word not in ENDS:
                raise self.log.refused("status", row, status, f"one of {', '.join(ENDS)}")
            yield word

    def _kinds(self) -> Iterator[str]:
        """The kind of each row's order; an order of which nothing is said is a limit order."""
        for kind, parent in zip(self.log.listed("exectype"), self.log.listed("parent"), strict=True):
            word = LIMIT if kind is None or str(kind).strip().casefold() == LIMIT.casefold() else str(kind).strip()
            # a NaN stands where no order has a parent
            yield word if parent is None or parent != parent else f"{word} of a bracket"  # noqa: PLR0124

    def _is_other(self, ref: int, kind: str, row: int) -> bool:
        """Whether the row is of an order without a limit, or says of one order both."""
        before = LIMIT if ref in self.orders else self.others.get(ref, kind)
        if before != kind:
            self._reject(row, "exectype", kind, f"{before}, as an earlier row says of order {ref}")
        elif kind != LIMIT:
            self.others[ref] = kind
        return before != kind or kind != LIMIT

    def _take(self, ref: int, status: str, row: int, made: tuple[Any, ...], ns: int | None, fee: Any) -> None:
        created_ns, _, size, side, valid_ns = made
        if isinstance(size, Decimal) and size and signed(size)[0] != side:
            raise self.log.refused("created_size", row, str(size), "a size of the sign of its side")
        order = self.orders.setdefault(ref, _Order(row, made, created_ns, valid_ns))
        if repr(order.made) != repr(made):
            self._reject(row, "created", _told(made), f"{_told(order.made)}, as row {order.row} says of order {ref}")
        elif not ENDS[status]:
            order.ended_by = order.ended_by or status
        elif order.end:
            wanted = f"no end of order {ref} after it was {order.ended_by}"
            self._reject(row, "status", status, wanted, law="orders_are_conserved")
        else:
            order.end, order.ended_by, order.ended_ns = ENDS[status], status, ns
        if ENDS[status] or not order.end:
            order.fee = fee  # so far, of all executions

    def _reject(self, row: int, name: str, got: Any, wanted: str, *, law: str = "values_are_valid") -> None:
        self.rejected.append(Rejected("order_events", self.log.file, row, name, got, wanted, law))


def _told(made: tuple[Any, ...]) -> str:
    created, price, size, *_, valid = made
    return f"{size} at {price}, created {created} ns, valid {valid} ns"


def orders_of(log: EngineTable, sizes: Sequence[Any], feed: Feed) -> Orders:
    """The orders in a log of ``notify_order``, in the order of their first notification.

    ``valid`` is a cancel that was sent along: the order may still fill in the bar or tick of that
    very label. ``end_ns`` is the time that the engine gave the end; an expiry is noticed in the
    first bar or tick behind ``valid``. A cancel of the strategy is told one bar or tick after it was made, one
    of the broker's own at once. Raises ``InputError``.
    """
    fold = _Fold(log, sizes).run()
    frame = pd.DataFrame([_row(ref, order, feed) for ref, order in fold.orders.items()], columns=_COLUMNS, dtype=object)
    fees = [order.fee for order in fold.orders.values()]
    total = sum(map(plain, fees), Decimal(0)) if all(isinstance(fee, Decimal) for fee in fees) else None
    return Orders(
        frame, fold.others, tuple(fold.rejected), "partial" in map(str.casefold, map(str, log.listed("status"))), total
    )


_COLUMNS = ("order_id", "side", "price", "size", "submit_ns", "cancel_ns", "end_ns", "end", "row")


def _row(ref: int, order: _Order, feed: Feed) -> tuple[Any, ...]:
    _, price, size, side, _ = order.made
    cancels = [feed.valid(order.valid_ns)] if order.valid_ns is not None else []
    end_ns = None
    if order.ended_ns is not None:
        found = {"filled": feed.decided, "cancelled": feed.withdrawn}.get(order.end, feed.first)
        end_ns = found(order.ended_ns)
        # what the broker itself cancels in a bar (of an OCO group, a bracket) it cancels at any instant of it
        gone_ns = feed.first(order.ended_ns) - 1 if order.at_once and feed.bar_ns else end_ns
        cancels += [gone_ns] if order.end == "cancelled" else []
    sent_ns = feed.decided(order.created_ns)
    # each is known to an interval, of which the cancel's begins and the submit's ends; the submit came first
    cancel_ns = max(min(cancels), sent_ns) if cancels else None
    return (ref, side, price, signed(size)[1], sent_ns, cancel_ns, end_ns, order.end or "open", order.row)


@dataclass(frozen=True, eq=False, slots=True)
class Executions:
    """The executions, the engine's position after each, and the rows that repeat one.

    ``residues`` counts those left out because float noise is all that they executed.
    """

    frame: pd.DataFrame
    positions: pd.DataFrame | None
    rejected: tuple[Rejected, ...] = ()
    residues: int = 0


def fills_of(bits: EngineTable, sizes: Sequence[Any], feed: Feed, others: Collection[int] = ()) -> Executions:
    """The executions in the bits of all orders; those of the orders ``others`` and their part of the position left out.

    ``broker.orders`` lists executions order by order; here they stand in time. Those of one bar, or
    one instant, follow each other as ``psize`` (the position after each) does. What partial executions
    leave of an order is a difference of floats: its noise is taken away, and where nothing else is left
    (the engine executes 2.8e-17) there is no execution.
    Raises ``InputError``.
    """
    prices, raw = bits.numbers("price"), bits.numbers("size")
    fees = [_plain(fee) for fee in bits.numbers("comm", nullable=True)]
    after = _positions(bits) if "psize" in bits.frame else [None] * len(bits)
    seen: set[tuple[int, int]] = set()
    rejected, found, residues = [], [], 0
    names = zip(bits.wholes("ref"), bits.wholes("i"), bits.times("dt"), strict=True)
    for at, (ref, i, dt) in enumerate(names):
        if (ref, i) in seen:
            wanted = "an execution id never used before"
            rejected.append(Rejected("fills", bits.file, at + 1, "ref, i", f"{ref}, {i}", wanted))
            continue
        seen.add((ref, i))
        if sizes[at] == 0 != raw[at]:
            residues += 1
            continue
        side, size = signed(sizes[at])
        found.append((feed.first(dt), feed.last(dt), ref, side, prices[at], size, fees[at], at + 1, after[at]))
    found = list(_without(others, _in_time(found)))
    fills = pd.DataFrame([f[:-1] for f in found], columns=_FILLS, dtype=object)
    positions = pd.DataFrame([(f[1], f[-1], f[-2]) for f in found], columns=["ns", "position", "row"], dtype=object)
    return Executions(fills, positions if "psize" in bits.frame else None, tuple(rejected), residues)


def amounts_of(*columns: tuple[EngineTable, str]) -> list[list[Any]]:
    """Columns of sizes that may be differences of floats, all without the noise of these, or none.

    What is not finite stays as it is.
    """
    raw = [table.numbers(name) for table, name in columns]
    floats = [floats_of(table.frame, name, file=table.file) for table, name in columns]
    clean = iter(decimals_of(np.concatenate(floats), sums=_SUBTRACTIONS))
    return [
        [c if c.is_finite() and c != value else value for value, c in zip(values, clean, strict=False)]
        for values in raw
    ]


_SUBTRACTIONS = 100
"""Executions of one order, one after the other."""


def _positions(bits: EngineTable) -> list[Any]:
    """``psize``, a running sum in binary floats, without the noise of the additions."""
    known = decimals_of(floats_of(bits.frame, "psize", file=bits.file), sums=len(bits))
    return [value if value.is_finite() else float(value) for value in known]


def _plain(fee: Any) -> Any:
    """A product of floats at the 15 digits that survive in one."""
    return plain(fee) if isinstance(fee, Decimal) else fee


_FILLS = ("ns", "ns_to", "order_id", "side", "price", "size", "fee", "row")


def _in_time(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By time; those of one time in an order in which each leads from the position to its own ``psize``."""
    ordered: list[tuple[Any, ...]] = []
    for _, group in groupby(sorted(found, key=lambda fill: fill[0]), key=lambda fill: fill[0]):
        ordered += _chained(list(group), ordered[-1][-1] if ordered else Decimal(0))
    return ordered


def _chained(fills: list[tuple[Any, ...]], position: Any) -> list[tuple[Any, ...]]:
    """The fills as one walk from ``position`` in which each leads to its own ``psize``.

    One that leads on need not be the next: another may then be left where no step begins. So the walk goes
    back to where those that are left begin (Hierholzer's algorithm). Where no walk takes all, because a
    ``psize`` is wrong, each is next that leads on, else the first.
    """
    if len(fills) == 1 or not all(isinstance(of, Decimal) for f in fills for of in (f[5], f[-1], position)):
        return fills
    begun, walk = [(_place(position), -1)], []
    left = defaultdict(list)
    for at in reversed(range(len(fills))):
        left[_begin(fills[at])].append(at)
    while begun:
        place, at = begun[-1]
        if left[place]:
            then = left[place].pop()
            begun.append((_place(fills[then][-1]), then))
        else:
            begun.pop()
            walk.append(at)
    if len(walk) == len(fills) + 1:
        return [fills[at] for at in reversed(walk[:-1])]
    return _greedy(fills, position)


def _greedy(fills: list[tuple[Any, ...]], position: Any) -> list[tuple[Any, ...]]:
    left, ordered = list(fills), []
    while left:
        fits = (k for k, fill in enumerate(left) if _begin(fill) == _place(position))
        ordered.append(left.pop(next(fits, 0)))
        position = ordered[-1][-1]
    return ordered


def _begin(fill: tuple[Any, ...]) -> Decimal:
    """The position before a fill, by its own ``psize``."""
    return _place(fill[-1] - fill[3] * fill[5])


def _place(position: Decimal) -> Decimal:
    """A position without the noise of floats, finer than any lot."""
    return round(position, 9)


def _without(others: Collection[int], found: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The executions of all orders but ``others``, each with the position that these alone would have made."""
    theirs = Decimal(0)
    for fill in found:
        _, _, ref, side, _, size, *_, after = fill
        if ref not in others:
            yield (*fill[:-1], after - theirs if isinstance(after, Decimal) else after)
        elif isinstance(size, Decimal):
            theirs += side * size

"""What each piece of a run must hold to be judged by itself.

Rows are judged where they belong: a fill and a trade in the piece of their time, an order where it
was sent or, for the laws on its whole life, where its last fill is. Beside its own rows a piece
carries others, so that a law sees what it would see in the whole run: the orders that its fills
name, the orders open at its beginning with their fills so far, the first order of each id that is
used again. Where carried rows are judged once more, ``Part.carried`` is a run of them alone, whose
judgement is taken off again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from invariants.laws.ruling import NEVER, Mask, later
from invariants.laws.windows import lacks
from invariants.splitting.cutting import Cut, Seams
from simcore.run import ABSENT, EndState, Fills, Ints, Orders, Positions, Run, Tops, Trades, first_rows

_Table = TypeVar("_Table", Trades, Tops, Orders, Fills, Positions)
_Rows = Ints | slice

ONCE = ("rejected", "sums", "fees", "ends", "whole")
"""The parts of the last piece that are judged over the whole run, or over its sums."""

_FAR = int(np.iinfo(np.int64).max)


def _no_rows() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Part:
    """A run to be judged by the laws of one kind (``invariants.splitting.judging``).

    ``carried``: what of it was judged in other pieces. ``orders`` and ``fills``: the place in the
    whole run of each of its rows, where findings must be put in order by it. ``own_ns``: the first
    instant of which it judges the trades.
    """

    name: str
    run: Run
    carried: Run | None = None
    orders: Ints = field(default_factory=_no_rows)
    fills: Ints = field(default_factory=_no_rows)
    own_ns: int = 0


def taken(table: _Table, rows: _Rows | Mask) -> _Table:
    """Some rows of a table; no copy of them where they stand together."""
    which = as_range(rows)
    return replace(table, **{f.name: getattr(table, f.name)[which] for f in fields(table)})


def as_range(rows: Any) -> Any:
    """Row numbers that stand together, in their order, as a slice; other rows, masks and slices as they are."""
    if isinstance(rows, slice) or rows.dtype == np.bool_ or not len(rows) or rows[0] < 0:
        return rows
    if rows[-1] - rows[0] + 1 != len(rows) or (np.diff(rows) != 1).any():
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1)


def joined(tables: Sequence[_Table]) -> _Table:
    """The rows of several tables of one kind, one after the other."""
    if len(tables) == 1:
        return tables[0]
    columns = {f.name: np.concatenate([getattr(table, f.name) for table in tables]) for f in fields(tables[0])}
    return replace(tables[0], **columns)


def places_of(rows: Ints, order: Ints) -> Ints:
    """``Fills.order`` where only these (sorted) rows of the orders are there: -1 for one that is not."""
    if not len(rows):
        return np.full(len(order), -1)
    at = np.minimum(np.searchsorted(rows, order), len(rows) - 1)
    return np.where(rows[at] == order, at, -1)


def emptied(run: Run) -> Run:
    """The run without rows and without what its author reported; it still says which tables there are."""
    nothing = slice(0, 0)
    told = ({"fills"} if run.has_fills else set()) | ({"orders"} if len(run.orders) else set())
    return replace(
        run,
        trades=taken(run.trades, nothing),
        tops=taken(run.tops, nothing),
        orders=taken(run.orders, nothing),
        fills=taken(run.fills, nothing),
        positions=taken(run.positions, nothing),
        reported={},
        claims={},
        rejected=(),
        read=dict.fromkeys((*run.read, *sorted(told - run.read.keys())), 0),
    )


class Carrier:
    """Makes the parts of the pieces of one run between ``edges``.

    ``all_named``: whether every fill names its trade truly, so that trades of one instant are told
    apart; where the run is itself a part of a longer one, it is that one's answer.
    """

    def __init__(self, run: Run, seams: Seams, edges: Sequence[Cut], *, all_named: bool | None = None) -> None:
        self.whole, self.seams, self.edges = run, seams, edges
        self._bare = emptied(run)
        self._all_named = are_all_named(run) if all_named is None else all_named

    def parts(self, piece: int) -> Iterator[Part]:
        """The parts of the piece of that number; its own rows stand between two edges."""
        begin, end = self.edges[piece], self.edges[piece + 1]
        # a part without own rows says nothing; the last piece says so, where no other has any
        last, whole = piece == len(self.edges) - 2, self.whole
        if last or (begin.trades, begin.tops, begin.orders, begin.fills) != (
            end.trades,
            end.tops,
            end.orders,
            end.fills,
        ):
            yield self._rows(begin, end)
        if begin.fills < end.fills or (last and not len(whole.fills)):
            yield self._slice(begin, end)
        if last or (self._retires == piece).any():
            yield self._lives(piece)
        if begin.trades < end.trades or (last and not len(whole.trades)):
            yield self._cells(begin, end)
        if last:
            yield from self.once()

    def _run(self, orders: _Rows, fills: Ints | slice, **more: Any) -> Run:
        """A run of these orders and fills."""
        some = taken(self.whole.fills, fills)
        rows = np.arange(len(self.whole.orders))[orders] if isinstance(orders, slice) else orders
        mine = replace(some, order=places_of(rows, some.order))
        return replace(self._bare, orders=taken(self.whole.orders, orders), fills=mine, **more)

    def _rules_from(self, position_lots: int) -> Any:
        rules = self.whole.rules
        return rules if rules.initial_position_lots == position_lots else _starting(rules, position_lots)

    # rows by themselves, and in the order of their list

    def _rows(self, begin: Cut, end: Cut) -> Part:
        own = slice(begin.orders, end.orders)
        again = self._ids_again(own)
        tables = {
            "trades": taken(self.whole.trades, slice(begin.trades, end.trades)),
            "tops": taken(self.whole.tops, slice(begin.tops, end.tops)),
        }
        fills = slice(begin.fills, end.fills)
        if not len(again):
            return Part("rows", self._run(own, fills, **tables))
        run = self._run(np.concatenate((again, np.arange(begin.orders, end.orders))), fills, **tables)
        return Part("rows", run, self._run(again, slice(0, 0)))

    def _ids_again(self, own: slice) -> Ints:
        """The earlier orders that had the ids of own orders first."""
        first = self._first_of_id[own]
        return np.unique(first[first < own.start])

    @cached_property
    def _first_of_id(self) -> Ints:
        return first_rows(self.whole.orders.order_id)

    # fills with the trades of their time, and the orders that they name

    def _slice(self, begin: Cut, end: Cut) -> Part:
        own = slice(begin.fills, end.fills)
        named = np.unique(self.whole.fills.order[own])
        # one quote was standing, and one trade was the last
        trades = taken(self.whole.trades, slice(max(begin.trades - 1, 0), end.trades))
        tops = taken(self.whole.tops, slice(max(begin.tops - 1, 0), end.tops))
        rules = self._rules_from(int(self.seams.position_lots[begin.fills]))
        if not len(self.whole.orders):
            trades = self._with_unknown_taker(begin, trades)
        return Part("slice", self._run(named[named >= 0], own, trades=trades, tops=tops, rules=rules))

    def _with_unknown_taker(self, begin: Cut, trades: Trades) -> Trades:
        """The trades, and one of unknown side where there is any on the tape: it clouds fills of no order."""
        unknown = np.flatnonzero(self.whole.trades.aggressor == 0)
        if not len(unknown) or (trades.aggressor == 0).any():
            return trades
        other = taken(self.whole.trades, unknown[:1])
        return joined((other, trades)) if unknown[0] < begin.trades else joined((trades, other))

    # orders with all of their fills

    def _lives(self, piece: int) -> Part:
        mine = self._retires == piece
        last = piece == len(self.edges) - 2
        witness = self._an_ended_order
        # the last piece owns it, whenever it ended; the others carry it
        mine[witness] = True
        both = np.flatnonzero(mine)
        run, fills = self._run_of(both), self._fills_of(both)
        if last:
            said = {name: getattr(self.whole, name) for name in ("end_ns", "last_event_ns", "exit_code")}
            run = replace(run, positions=_last_ns(self.whole), **said)
        return Part("lives", run, None if last or not len(witness) else self._run_of(witness), both, fills)

    def _run_of(self, orders: Ints) -> Run:
        quiet = {"end_ns": None, "last_event_ns": None, "exit_code": None}
        return self._run(orders, self._fills_of(orders), **quiet)

    def _fills_of(self, orders: Ints) -> Ints:
        mine = np.zeros(len(self.whole.orders) + 1, np.bool_)
        mine[orders] = True  # the last one stands for no order, and is nobody's
        return np.flatnonzero(mine[self.whole.fills.order])

    @cached_property
    def _retires(self) -> Ints:
        """For each order the piece in which it was sent or, if later, in which its last fill is."""
        fills = self.whole.fills
        sent = np.repeat(np.arange(len(self.edges) - 1), np.diff([cut.orders for cut in self.edges]))
        filled = np.searchsorted([cut.fills for cut in self.edges[1:-1]], np.arange(len(fills)), "right")
        known = fills.order >= 0
        np.maximum.at(sent, fills.order[known], filled[known])
        return sent

    @cached_property
    def _an_ended_order(self) -> Ints:
        """One order of which the end is given, if any is: it says that ends are given at all."""
        return np.flatnonzero(self.whole.orders.end != EndState.UNKNOWN)[:1]

    # orders with the trades that crossed them

    def _cells(self, begin: Cut, end: Cut) -> Part:
        since = self._since(begin, end)
        kept = np.append(self._live(since, end), False)  # the last one stands for no order
        kept[self._clues] = True
        orders = np.flatnonzero(kept)
        earlier = kept[self.whole.fills.order[: begin.fills]]
        earlier[since.fills :] = True
        carried = np.flatnonzero(earlier)
        trades = np.arange(since.trades, begin.trades)
        if self._all_named:
            named = self.whole.fills.trade_seq[carried]
            trades = np.union1d(trades, np.searchsorted(self.whole.trades.seq, named))
        fills = np.concatenate((carried, np.arange(begin.fills, end.fills)))
        moved = (self.whole.fills.side * self.whole.fills.size_lots)[carried].sum()
        rules = self._rules_from(int(self.seams.position_lots[begin.fills]) - int(moved))

        def cells_of(fill_rows: Ints, trade_rows: Ints) -> Run:
            run = self._run(orders, fill_rows, trades=taken(self.whole.trades, trade_rows), rules=rules)
            return run if self._all_named else replace(run, fills=joined((run.fills, _nameless(run))))

        own = np.arange(begin.trades, end.trades)
        run = cells_of(fills, np.concatenate((trades, own)))
        return Part("cells", run, cells_of(carried, trades) if len(trades) else None, orders, own_ns=begin.ns)

    def _since(self, begin: Cut, end: Cut) -> Cut:
        """From where on everything is carried: where the cap ends orders, since any of the open ones was sent.

        What the cap has ended hangs on the position at each trade; all else only on the order's own fills.
        """
        rules = self.whole.rules
        if rules.cap_action != "cancel" or rules.position_cap_lots is None:
            return begin
        first_ns, _ = self._spans
        return self.seams.before(int(first_ns[self._live(begin, end)].min(initial=begin.ns)))

    def _live(self, begin: Cut, end: Cut) -> Mask:
        first_ns, last_ns = self._spans
        return np.asarray((first_ns <= end.ns) & (last_ns >= begin.ns))

    @cached_property
    def _clues(self) -> Ints:
        """An order, and one of which the engine logged when it was live: they say what the run knows."""
        orders = self.whole.orders
        logged = np.flatnonzero(orders.live_ns != ABSENT)
        return np.unique(np.concatenate((np.arange(min(len(orders), 1)), logged[:1])))

    @cached_property
    def _spans(self) -> tuple[Ints, Ints]:
        return spans_of(self.whole)

    # what is judged once, over sums

    def once(self) -> Iterator[Part]:
        """The parts that are judged over the whole run, or over its sums."""
        whole = self.whole
        yield Part("rejected", replace(self._bare, rejected=whole.rejected, read=whole.read))
        tape = _counted(whole.trades)
        sums = replace(
            whole,
            trades=tape,
            tops=self._bare.tops,
            orders=_counted(whole.orders),
            rejected=(),
            cancel_count=whole.cancels,
        )
        yield Part("sums", sums)
        paid = sums
        if whole.rules.declares("fee_rate"):
            # then fees are judged with their fills; one of them says here that fees are given
            fees = whole.fills.fee.copy()
            fees[np.flatnonzero([fee is not None for fee in fees])[1:]] = None
            paid = replace(sums, fills=replace(sums.fills, fee=fees))
        yield Part("fees", paid, replace(paid, reported={}))
        yield Part("ends", replace(self._bare, end_counts=whole.ends, reported=whole.reported))
        yield Part("whole", whole)


def spans_of(run: Run) -> tuple[Ints, Ints]:
    """For each order the first and the last instant at which a trade could fill it; it may be less."""
    orders, rules = run.orders, run.rules
    first_ns, last_ns = np.full(len(orders), _FAR), np.full(len(orders), -_FAR)
    if not lacks(run, "nominal"):
        sent = orders.submit_ns != ABSENT
        effect = later(np.maximum(orders.cancel_ns, 0), rules.cancel_latency_ns)[0]
        reach = np.where(orders.is_cancelled, effect, NEVER)
        if rules.ttl_ns is not None:
            reach = np.minimum(reach, later(orders.submit_ns, rules.ttl_ns)[0])
        first_ns, last_ns = np.where(sent, orders.submit_ns, first_ns), np.where(sent, reach, last_ns)
    if not lacks(run, "logged"):
        live = orders.live_ns != ABSENT
        ended = (orders.end_ns != ABSENT) & (orders.end != EndState.FILLED)
        first_ns = np.where(live, np.minimum(first_ns, orders.live_ns), first_ns)
        last_ns = np.where(live, np.maximum(last_ns, np.where(ended, orders.end_ns, NEVER)), last_ns)
    filled, filled_ns = _completed(run)
    last_ns[filled] = np.minimum(last_ns[filled], filled_ns)
    return first_ns, last_ns


def _completed(run: Run) -> tuple[Ints, Ints]:
    """The orders that were filled completely, and the last fill of each."""
    orders, fills = run.orders, run.fills
    known = fills.order >= 0
    order, place = np.unique(fills.order[known], return_inverse=True)
    filled = np.zeros(len(order), np.int64)
    np.add.at(filled, place, fills.size_lots[known])
    last_ns = np.full(len(order), ABSENT)
    np.maximum.at(last_ns, place, np.maximum(fills.ns, fills.ns_to)[known])
    done = filled >= orders.size_lots[order]
    return order[done], last_ns[done]


def are_all_named(run: Run) -> bool:
    """Whether every fill names its trade truly, so that trades of one instant are told apart."""
    fills, trades = run.fills, run.trades
    if not len(trades):
        return False
    place = np.minimum(np.searchsorted(trades.seq, fills.trade_seq), len(trades) - 1)
    named = (trades.seq[place] == fills.trade_seq) & (trades.ns[place] == fills.ns) & (fills.ns == fills.ns_to)
    return bool(named.all())


def _starting(rules: Any, position_lots: int) -> Any:
    return replace(rules, initial_position_lots=position_lots)


def _counted(table: _Table) -> _Table:
    """A table as long as ``table`` that takes no room: its first row, again and again."""
    count = len(table)
    return replace(table, **{f.name: np.broadcast_to(getattr(table, f.name)[:1], count) for f in fields(table)})


def _nameless(run: Run) -> Fills:
    """A fill of nothing that names no trade: it says that not every fill of the whole run does."""
    zero = np.zeros(1, np.int64)
    ns = run.trades.ns[:1] if len(run.trades) else zero
    absent, nobody = np.full(1, ABSENT), np.full(1, -1)
    none = np.empty(1, np.object_)
    return Fills(ns, ns, nobody, none, np.ones(1, np.int64), zero, zero, absent, none, zero)


def _last_ns(run: Run) -> Positions:
    """A sample at the last instant of which the run speaks."""
    columns = (
        run.trades.ns,
        run.tops.ns,
        run.fills.ns_to,
        run.positions.ns,
        run.orders.submit_ns,
        run.orders.cancel_ns,
        run.orders.end_ns,
    )
    known = [int(column.max()) for column in columns if len(column)]
    ns = np.array([max(known)] if known else [], dtype=np.int64)
    return Positions(ns, np.zeros(len(ns), np.int64), np.zeros(len(ns), np.int64))

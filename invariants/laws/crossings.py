"""Which trades could fill which orders: the two joins on which the laws of the tape stand.

``causes`` joins fills to the trades of their instant. ``crossings`` joins orders to every trade
that crossed them inside their live window (section 2, rules 3 to 6), and works out for each what
the order had left, what it got, and at which position it was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from invariants.laws.ruling import Mask, lengths, running_from_zero, starts
from invariants.laws.windows import Window, lacks, logged, nominal
from simcore.rules import Rules
from simcore.run import ABSENT, Ints, Objects, Run

_CHUNK = 4_000_000
"""Pairs looked at in one go: bounds memory at a few hundred megabytes."""

_FAR = int(np.iinfo(np.int64).max)
_NONE, _NEVER = np.empty(0, np.int64), np.empty(0, np.bool_)


@dataclass(frozen=True, slots=True)
class Causes:
    """Pairs (fill, trade): the trade is at the fill's instant, and crosses its order.

    ``sure``: it has the right aggressor; else his side is unknown, and he perhaps has.
    ``caused``: fills with a sure trade; ``perhaps``: fills with none but perhaps ones.
    """

    fill: Ints
    trade: Ints
    sure: Mask
    caused: Mask
    perhaps: Mask

    def any_of(self, pairs: Mask) -> tuple[Mask, Mask]:
        """Fills that surely, and that perhaps only, have one of these pairs."""
        surely, perhaps = np.zeros(len(self.caused), dtype=np.bool_), np.zeros(len(self.caused), dtype=np.bool_)
        surely[self.fill[pairs & self.sure]] = True
        perhaps[self.fill[pairs & ~self.sure]] = True
        return surely, perhaps & ~surely

    def trades_of(self, fill: int) -> Ints:
        """The trades that surely or perhaps caused ``fill``."""
        first, last = np.searchsorted(self.fill, (fill, fill + 1))
        return np.asarray(self.trade[first:last])


@lru_cache(maxsize=1)
def causes(run: Run) -> Causes:
    """Join the fills of known orders to the trades that could cause them."""
    fills, trades, orders = run.fills, run.trades, run.orders
    if not len(fills):
        return Causes(_NONE, _NONE, _NEVER, _NEVER, _NEVER)
    first = np.searchsorted(trades.ns, fills.ns, "left")
    last = np.searchsorted(trades.ns, fills.ns_to, "right")
    fill, trade = _expand(first, np.where(fills.order >= 0, last, first))
    named = fills.trade_seq[fill]
    keep = (named == ABSENT) | (named == trades.seq[trade])
    fill, trade = fill[keep], trade[keep]
    order = fills.order[fill]
    keep = _crosses(run.rules, orders.side[order], orders.price_ticks[order], trades.price_ticks[trade])
    fill, trade = fill[keep], trade[keep]
    sure, maybe = _aggressor(run.rules, orders.side[fills.order[fill]], trades.aggressor[trade])
    keep = sure | maybe
    fill, trade, sure = fill[keep], trade[keep], sure[keep]
    caused, perhaps = np.zeros(len(fills), dtype=np.bool_), np.zeros(len(fills), dtype=np.bool_)
    caused[fill[sure]] = True
    perhaps[fill] = True
    return Causes(fill, trade, sure, caused, perhaps & ~caused)


@dataclass(frozen=True, slots=True)
class Crossings:
    """Cells: an order that was live when one trade, or several of one instant, crossed it.

    One row a cell, in tape order. ``trade`` is the (first) trade; ``alone`` says that no other
    trade of the instant could have filled any of our orders, or that every fill names its trade:
    then ``position_lots``, the position when the order was looked at, is exact.

    ``leaves_lots``: left of the order before. ``got_lots``: what it was filled by the cell.
    ``due_lots``: what the rules give it if the cap allows. ``blocked`` / ``allowed``: the cap
    surely forbids / surely permits the fill; neither where it hangs on the order of events.
    ``sure``: a trade of known aggressor crossed it. ``gone``: an earlier cell ended the order by
    ``cap_action`` cancel; ``perhaps_gone`` where that could not be decided. ``blurred``: a fill of
    which only an interval is known may lie before or after the cell. ``through``: a trade strictly
    beyond the limit crossed it. ``rank`` orders the cells of one ``group`` by priority; ``rivals``
    counts them.
    """

    order: Ints
    trade: Ints
    group: Ints
    rank: Ints
    rivals: Ints
    alone: Mask
    sure: Mask
    leaves_lots: Ints
    got_lots: Ints
    due_lots: Ints
    volume_open: Mask
    position_lots: Ints
    allowed: Mask
    blocked: Mask
    gone: Mask
    perhaps_gone: Mask
    blurred: Mask
    through: Mask

    def __len__(self) -> int:
        return len(self.order)

    @property
    def short(self) -> Mask:
        """Cells in which the order got less than it was due."""
        return self.sure & (self.got_lots < self.due_lots)

    @property
    def missed(self) -> Mask:
        """Cells in which the order surely should have been filled, and was not."""
        clear = ~self.gone & ~self.perhaps_gone & ~self.volume_open & ~self.blurred
        # sizes are never clipped to fit: a fill that is there, and too small, the cap cannot excuse
        clipped = self.alone & (self.got_lots > 0)
        return self.short & (self.allowed | clipped) & clear

    @property
    def passed_over(self) -> Mask:
        """Cells in which an order that was due something surely got nothing."""
        free = ~self.blocked & ~self.gone & ~self.blurred
        return np.asarray(self.sure & (self.due_lots > 0) & (self.got_lots == 0) & free)

    @property
    def undecided(self) -> Mask:
        """Cells in which it cannot be decided whether the order should have been filled."""
        maybe = ~self.sure & (self.got_lots < self.leaves_lots) & (self.got_lots == 0)
        clouded = ~self.allowed | self.perhaps_gone | self.volume_open
        return np.asarray(self.blurred | (~self.gone & ~self.blocked & (maybe | (self.short & clouded))))


_NO_CROSSINGS = Crossings(
    _NONE, _NONE, _NONE, _NONE, _NONE, _NEVER, _NEVER, _NONE, _NONE,
    _NONE, _NEVER, _NONE, _NEVER, _NEVER, _NEVER, _NEVER, _NEVER, _NEVER,
)  # fmt: skip


def crossings(run: Run) -> Crossings:
    """Join the orders to the trades that crossed them in their nominal window; else in the logged one."""
    return crossings_in(run, "logged" if lacks(run, "nominal") and not lacks(run, "logged") else "nominal")


def logged_live(run: Run, cells: Crossings) -> Mask:
    """Cells inside the logged window of their order; all of them where the run has no log of it.

    The window is open: a trade at the instant of arrival or of the end is no evidence of either.
    """
    if lacks(run, "logged"):
        return np.ones(len(cells), dtype=np.bool_)
    ns, live_ns, end_ns = run.trades.ns[cells.trade], run.orders.live_ns[cells.order], run.orders.end_ns[cells.order]
    return np.asarray((live_ns != ABSENT) & (ns > live_ns) & ((end_ns == ABSENT) | (ns < end_ns)), dtype=np.bool_)


@lru_cache(maxsize=2)
def crossings_in(run: Run, window: Window) -> Crossings:
    """Join the orders to the trades that crossed them while they were live."""
    order, trade, sure = _pairs(run, window)
    if not len(order):
        return _NO_CROSSINGS
    trade_key, fill_key, exact = _keys(run)
    key = trade_key[trade]
    by_group = np.lexsort((trade, order, key))
    order, trade, sure, key = order[by_group], trade[by_group], sure[by_group], key[by_group]
    first = starts(key, order)
    volumes = np.where(sure, run.trades.size_lots[trade], 0)
    beyond = run.orders.side[order] * (run.orders.price_ticks[order] - run.trades.price_ticks[trade]) > 0
    cells = _Cells(
        order[first],
        trade[first],
        key[first],
        exact[trade[first]] | _single(key[first], key, trade),
        _per_cell(np.logical_or, sure, first).astype(np.bool_),
        _per_cell(np.logical_or, beyond & sure, first).astype(np.bool_),
        _per_cell(np.add, volumes, first),
        _per_cell(np.maximum, volumes, first),
    )
    ranked = _by_priority(run, cells.order, cells.trade, cells.key)
    cells = _Cells._make(column[ranked] for column in cells)
    hangs_together = run.rules.position_cap_lots is not None or run.rules.sizing == "shared"
    others = _others_filled(run, cells, fill_key) if window == "logged" and hangs_together else np.False_
    return _judged(run, cells, fill_key, others)


class _Cells(NamedTuple):
    """An order and an instant in which trades crossed it, by column: the first of these, and all of them together."""

    order: Ints
    trade: Ints
    key: Ints
    alone: Mask
    sure: Mask
    through: Mask
    volume: Ints
    largest: Ints


def _others_filled(run: Run, cells: _Cells, fill_key: Ints) -> Mask:
    """Cells in whose instant an order was filled that has none: at the very end of what its log says it lived."""
    here = {*zip(cells.order.tolist(), cells.key.tolist(), strict=True)}
    took = run.fills.size_lots != 0
    filled = zip(run.fills.order[took].tolist(), fill_key[took].tolist(), strict=True)
    strange = np.array(sorted({key for order, key in filled if (order, key) not in here}), dtype=np.int64)
    return np.isin(cells.key, strange)


def _judged(run: Run, cells: _Cells, fill_key: Ints, others: Mask | np.bool_) -> Crossings:
    order, trade, key, alone, sure, through, volume, largest = cells
    leaves, got = _leaves_and_got(run, order, key, fill_key)
    rules = run.rules
    side = run.orders.side[order]
    start = starts(key)
    count = lengths(start, len(key))
    group = np.repeat(np.arange(len(start)), count)
    rivals = count[group]
    better = _before(got, start, group)  # what better-placed orders took of the same trade
    signed = _before(side * got, start, group)
    base, low, high = _positions(run, key, fill_key)
    position = base + signed
    volume_open = np.zeros(len(key), dtype=np.bool_)
    if rules.sizing == "whole":
        due = leaves
        tried_most = tried_least = leaves
    elif rules.sizing == "trade":
        due = np.minimum(leaves, volume)
        tried_most, tried_least = np.minimum(leaves, largest), np.where(alone, due, np.minimum(leaves - got, 1))
    else:
        # with several trades at one instant and no names on the fills, others may have used ours
        in_group = _in_group(got, start, group)
        surely_left = np.maximum(volume - (in_group - got), 0)
        alone_left = np.maximum(volume - better, 0)
        due = np.minimum(leaves, np.where(alone, alone_left, volume))
        volume_open = ~alone & (surely_left < due)
        tried_most, tried_least = np.minimum(leaves, np.where(alone, due, largest)), np.where(alone, due, 1)
    low, high = np.where(alone, position, low), np.where(alone, position, high)
    # what the cap allows is a ray of positions, so the hardest one and the easiest one decide
    hardest, easiest = np.where(side > 0, high, low), np.where(side > 0, low, high)
    allowed = _allows(hardest, side, tried_most, rules)
    blocked = ~_allows(easiest, side, tried_least, rules)
    short = sure & (got < due)
    blurred = _blurred(run, order, trade) | others  # what those took is in no cell
    ended = short & (got == 0) & blocked & ~blurred
    gone, perhaps = _gone(rules, order, ended, short & (~allowed | blurred), len(run.orders))
    rank = np.arange(len(key)) - start[group]
    return Crossings(
        order, trade, group, rank, rivals, alone, sure, leaves, got, due, volume_open,
        position, allowed, blocked, gone, perhaps, blurred, through,
    )  # fmt: skip


def _blurred(run: Run, order: Ints, trade: Ints) -> Mask:
    """Cells that a fill of known interval only may precede: its order's, or any where others matter."""
    fills = run.fills
    wide = fills.ns != fills.ns_to
    if not wide.any():
        return np.zeros(len(order), dtype=np.bool_)
    ns = run.trades.ns[trade]
    own = wide & (fills.order >= 0)
    first_ns = np.full(len(run.orders), _FAR)
    np.minimum.at(first_ns, fills.order[own], fills.ns[own])
    blurred = ns >= first_ns[order]
    if run.rules.position_cap_lots is None and run.rules.sizing != "shared":
        return np.asarray(blurred)
    began = np.searchsorted(np.sort(fills.ns[wide]), ns, "right")
    ended = np.searchsorted(np.sort(fills.ns_to[wide]), ns, "left")
    return np.asarray(blurred | (began > ended))


def _gone(rules: Rules, order: Ints, blocked: Mask, perhaps: Mask, orders: int) -> tuple[Mask, Mask]:
    """Cells after the one in which the cap surely, or perhaps, ended the order."""
    if rules.cap_action != "cancel" or rules.position_cap_lots is None:
        none = np.zeros(len(order), dtype=np.bool_)
        return none, none
    at = np.arange(len(order))
    never = len(order)

    def after_first(ends: Mask) -> Mask:
        first = np.full(orders, never)
        np.minimum.at(first, order[ends], at[ends])
        return at > first[order]

    gone = after_first(blocked)
    return gone, after_first(perhaps) & ~gone


def _allows(position: Ints | Objects, side: Ints, size: Ints, rules: Rules) -> Mask:
    """Rule 10 in one comparison: within the cap, or nearer zero on the same side.

    A buy that ends below the cap is within it, or was further below before; so only its own side
    can forbid it, and ``side * after <= cap`` says the same as the rule.
    """
    if rules.position_cap_lots is None:
        return np.ones(len(position), dtype=np.bool_)
    if len(size) and float(np.abs(position).max()) + float(size.max()) >= 2.0**62:
        position, size = position.astype(np.object_), size.astype(np.object_)
    return np.asarray(side * position + size <= rules.position_cap_lots, dtype=np.bool_)


def _positions(run: Run, key: Ints, fill_key: Ints) -> tuple[Ints | Objects, Ints | Objects, Ints | Objects]:
    """The position before each cell's instant, and the lowest and highest during it."""
    by_time = np.argsort(fill_key, kind="stable")
    signed = (run.fills.side * run.fills.size_lots)[by_time]
    path = run.rules.initial_position_lots + running_from_zero(signed)
    first = np.searchsorted(fill_key[by_time], key, "left")
    last = np.searchsorted(fill_key[by_time], key, "right")
    # reduceat over [first, last] pairs; the odd slots between pairs are thrown away
    slots = np.column_stack((first, last + 1)).ravel()
    padded = np.append(path, path[-1])
    low = np.minimum.reduceat(padded, slots)[::2]
    high = np.maximum.reduceat(padded, slots)[::2]
    return path[first], low, high


def _pairs(run: Run, window: Window) -> tuple[Ints, Ints, Mask]:
    """Every (order, trade) with the trade in the order's live window and across its limit."""
    first, last = nominal(run) if window == "nominal" else logged(run)
    found: list[tuple[Ints, Ints, Mask]] = []
    counts = np.maximum(last - first, 0)
    for chunk in _chunks(counts):
        order, trade = _expand(first[chunk], last[chunk])
        order = order + chunk.start
        side = run.orders.side[order]
        keep = _crosses(run.rules, side, run.orders.price_ticks[order], run.trades.price_ticks[trade])
        order, trade = order[keep], trade[keep]
        sure, maybe = _aggressor(run.rules, side[keep], run.trades.aggressor[trade])
        keep = sure | maybe
        found.append((order[keep], trade[keep], sure[keep]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_)
    order, trade, sure = (np.concatenate(part) for part in zip(*found, strict=True))
    return order, trade, sure


def _keys(run: Run) -> tuple[Ints, Ints, Mask]:
    """What tells two instants apart, for trades and for fills; and whether it names one trade.

    The place in the tape where every fill names its trade truly; the time otherwise.
    """
    fills, trades = run.fills, run.trades
    place = np.searchsorted(trades.seq, fills.trade_seq)
    inside = np.minimum(place, max(len(trades) - 1, 0))
    if len(trades):
        named = (trades.seq[inside] == fills.trade_seq) & (trades.ns[inside] == fills.ns) & (fills.ns == fills.ns_to)
        if named.all():
            return np.arange(len(trades)), inside, np.ones(len(trades), dtype=np.bool_)
    return trades.ns, fills.ns, np.zeros(len(trades), dtype=np.bool_)


def _single(cell_key: Ints, key: Ints, trade: Ints) -> Mask:
    """Cells in whose instant one trade alone crossed any of our orders."""
    start = starts(key)
    one = np.minimum.reduceat(trade, start) == np.maximum.reduceat(trade, start)
    return np.asarray(one[np.searchsorted(key[start], cell_key)], dtype=np.bool_)


def _by_priority(run: Run, order: Ints, trade: Ints, key: Ints) -> Ints:
    """Cells sorted by instant, and within it by the declared priority."""
    sent_ns = run.orders.submit_ns[order]
    if run.rules.priority == "time":
        return np.lexsort((order, sent_ns, key))
    beyond = run.orders.side[order] * (run.orders.price_ticks[order] - run.trades.price_ticks[trade])
    return np.lexsort((order, sent_ns, -beyond, key))


def _leaves_and_got(run: Run, order: Ints, key: Ints, fill_key: Ints) -> tuple[Ints, Ints]:
    """What each order had left before its cell, and what it got in it."""
    rows = np.flatnonzero(run.fills.order >= 0)
    width = len(run.trades) + len(rows) + 2
    _, place = np.unique(np.concatenate((key, fill_key[rows])), return_inverse=True)
    cell = order * width + place[: len(key)]
    at = run.fills.order[rows] * width + place[len(key) :]
    by_time = np.argsort(at, kind="stable")
    filled = running_from_zero(run.fills.size_lots[rows][by_time])
    first, last = np.searchsorted(at[by_time], cell, "left"), np.searchsorted(at[by_time], cell, "right")
    opened = np.searchsorted(at[by_time], order * width, "left")
    got = filled[last] - filled[first]
    leaves = run.orders.size_lots[order] - (filled[first] - filled[opened])
    return np.maximum(leaves, 0), got


def _before(values: Ints, start: Ints, group: Ints) -> Ints:
    """Sum of the earlier values in the same group."""
    sums = running_from_zero(values)
    return np.asarray(sums[:-1] - sums[start][group])


def _in_group(values: Ints, start: Ints, group: Ints) -> Ints:
    return np.add.reduceat(values, start)[group]


def _per_cell(how: np.ufunc, values: Ints | Mask, first: Ints) -> Ints:
    return np.asarray(how.reduceat(values, first))


def _crosses(rules: Rules, side: Ints, limit_ticks: Ints, price_ticks: Ints) -> Mask:
    beyond = side * (limit_ticks - price_ticks)
    return beyond >= 0 if rules.cross == "at" else beyond > 0


def _aggressor(rules: Rules, side: Ints, aggressor: Ints) -> tuple[Mask, Mask]:
    """Trades that surely, and that perhaps, have the aggressor that the rules ask for."""
    if rules.aggressor == "any":
        return np.ones(len(side), dtype=np.bool_), np.zeros(len(side), dtype=np.bool_)
    return aggressor == -side, aggressor == 0


def _expand(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Ranges [first, last) as pairs (row, member)."""
    counts = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(first)), counts)
    skipped = np.repeat(np.cumsum(counts) - counts, counts)
    return row, np.arange(len(row)) - skipped + np.repeat(first, counts)


def _chunks(counts: Ints) -> list[slice]:
    """Rows in slices of at most ``_CHUNK`` pairs (or one row)."""
    edges = [*starts(np.cumsum(counts) // _CHUNK).tolist(), len(counts)]
    return [slice(a, b) for a, b in pairwise(edges)]

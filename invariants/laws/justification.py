"""For each fill the best reason that the tape gives for it: the fingerprint of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from invariants.laws.ruling import Mask, is_evidence
from simcore.run import ABSENT, Ints, Objects, Run

REASONS = ("through", "at", "book_cross", "book_standing", "wrong_side", "none")
"""From the best to the worst; ``none`` is a fill out of nothing."""

_FAR = int(np.iinfo(np.int64).max)


@lru_cache(maxsize=1)
def reasons(run: Run) -> Objects:
    """The best of ``REASONS`` for each fill; the limit is its order's, or its own price without one.

    A trade of unknown side counts as of the right one, and under ``aggressor`` any every side is
    right. Needs a tape that does not run backwards.
    """
    best = np.full(len(run.fills), "none", dtype=np.object_)
    if not len(run.fills):
        return best
    side, limit = _limits(run)
    for sign in (1, -1):
        rows = np.flatnonzero(side == sign)
        for reason, mask in _reached(run, rows, sign, limit[rows]):
            best[rows[mask & (best[rows] == "none")]] = reason
    return best


def book_prices(run: Run, rows: Ints) -> tuple[Ints, Ints]:
    """For each of these fills the best opposite quote during its time, and the one standing before.

    Ticks times the fill's side, so that less is better for us; a very large number where none is.
    """
    during, standing = np.full(len(rows), _FAR), np.full(len(rows), _FAR)
    side, _ = _limits(run)
    for sign in (1, -1):
        mine = np.flatnonzero(side[rows] == sign)
        quotes = sign * (run.tops.ask_ticks if sign > 0 else run.tops.bid_ticks)
        first = np.searchsorted(run.tops.ns, run.fills.ns[rows[mine]], "left")
        last = np.searchsorted(run.tops.ns, run.fills.ns_to[rows[mine]], "right")
        during[mine] = _least(quotes, first, last)
        standing[mine] = np.where(first > 0, np.append(quotes, _FAR)[first - 1], _FAR)
    return during, standing


def overdrawn(run: Run, rows: Ints) -> Mask:
    """Fills at the price of the best quote that stood before them, and larger than that quote was."""
    tops, fills = run.tops, run.fills
    found = np.zeros(len(rows), np.bool_)
    before = np.searchsorted(tops.ns, fills.ns[rows], "left") - 1
    for sign, price, size in ((1, tops.ask_ticks, tops.ask_lots), (-1, tops.bid_ticks, tops.bid_lots)):
        mine = np.flatnonzero((fills.side[rows] == sign) & (before >= 0))
        at, fill = before[mine], rows[mine]
        found[mine] = (fills.price_ticks[fill] == price[at]) & (fills.size_lots[fill] > size[at])
    return found


def outgrown(run: Run, rows: Ints) -> Mask:
    """Fills of one instant whose quotes only touched the limit, and were together smaller than the fill."""
    tops, fills = run.tops, run.fills
    found = np.zeros(len(rows), np.bool_)
    side, limit = _limits(run)
    exact = fills.ns[rows] == fills.ns_to[rows]
    for sign, price, size in ((1, tops.ask_ticks, tops.ask_lots), (-1, tops.bid_ticks, tops.bid_lots)):
        mine = np.flatnonzero((side[rows] == sign) & exact)
        first, last = (np.searchsorted(tops.ns, fills.ns[rows[mine]], where) for where in ("left", "right"))
        fill = np.repeat(np.arange(len(mine)), last - first)
        quote = np.arange(len(fill)) + np.repeat(last - np.cumsum(last - first), last - first)
        beyond = sign * (limit[rows[mine]][fill] - price[quote])
        passed = np.bincount(fill[beyond > 0], minlength=len(mine)) > 0
        shown = np.zeros(len(mine), np.int64)
        np.add.at(shown, fill[beyond == 0], size[quote[beyond == 0]])
        found[mine] = ~passed & (shown > 0) & (fills.size_lots[rows[mine]] > shown)
    return found


def took_last_trade(run: Run, rows: Ints) -> Mask:
    """Fills at the instant at which the log has their order arrive, where the last trade until then reached its limit.

    No quote came after that trade: a book of one level that trades keep, too, stood at its price.
    """
    fills, trades = run.fills, run.trades
    if not (len(trades) and len(run.orders) and is_evidence(run, "live_ns")):
        return np.zeros(len(rows), np.bool_)
    ns = fills.ns[rows]
    arrived = (ns == fills.ns_to[rows]) & (ns == run.orders.live_ns[fills.order[rows]])
    last, quote = (np.searchsorted(seen, ns, "right") - 1 for seen in (trades.ns, run.tops.ns))
    quoted_ns = np.append(run.tops.ns, ABSENT)[quote]
    side, limit = _limits(run)
    reached = side[rows] * trades.price_ticks[last] <= side[rows] * limit[rows]
    return np.asarray(arrived & (last >= 0) & (quoted_ns <= trades.ns[last]) & reached)


def _limits(run: Run) -> tuple[Ints, Ints]:
    fills, orders = run.fills, run.orders
    if not len(orders):
        return fills.side, fills.price_ticks
    known = fills.order >= 0
    return (
        np.where(known, orders.side[fills.order], fills.side),
        np.where(known, orders.price_ticks[fills.order], fills.price_ticks),
    )


def _reached(run: Run, rows: Ints, sign: int, limit: Ints) -> Iterator[tuple[str, Mask]]:
    """Each reason with the fills of which it holds, best first."""
    aggressor = run.trades.aggressor
    any_side = run.rules.declares("aggressor") and run.rules.aggressor == "any"
    wrong = np.zeros(len(aggressor), np.bool_) if any_side else aggressor == sign
    traded = _best_trade(run, rows, sign, ~wrong)
    yield "through", traded < sign * limit
    yield "at", traded == sign * limit
    if len(run.tops):
        during, standing = book_prices(run, rows)
        yield "book_cross", during <= sign * limit
        yield "book_standing", standing <= sign * limit
    yield "wrong_side", _best_trade(run, rows, sign, wrong) <= sign * limit


def _best_trade(run: Run, rows: Ints, sign: int, which: Mask) -> Ints:
    """The best price, times the side, among the trades of each fill's time; very large where none is."""
    fills = run.fills
    ns, seq = run.trades.ns[which], run.trades.seq[which]
    first, last = np.searchsorted(ns, fills.ns[rows], "left"), np.searchsorted(ns, fills.ns_to[rows], "right")
    named = fills.trade_seq[rows] != ABSENT
    if named.any():
        at = np.searchsorted(seq, fills.trade_seq[rows], "left")
        hit = (at >= first) & (at < last) & (np.append(seq, ABSENT)[np.minimum(at, len(seq))] == fills.trade_seq[rows])
        first = np.where(named, at, first)
        last = np.where(named, at + hit, last)
    return _least(sign * run.trades.price_ticks[which], first, last)


def _least(values: Ints, first: Ints, last: Ints) -> Ints:
    """The least of ``values`` in each range [first, last); very large where it is empty."""
    if not len(first):
        return np.empty(0, np.int64)
    padded = np.append(values, (_FAR, _FAR))
    # reduceat over [first, last] pairs; the odd slots between pairs are thrown away
    slots = np.column_stack((first, np.maximum(last, first))).ravel()
    return np.where(last > first, np.minimum.reduceat(padded, slots)[::2], _FAR)

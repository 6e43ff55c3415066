"""The tape: every fill has its trade, every trade its due, and no volume is spent twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from invariants.laws.crossings import Causes, Crossings, causes, crossings, logged_live
from invariants.laws.justification import outgrown, overdrawn, reasons, took_last_trade
from invariants.laws.ruling import (
    Claim,
    Mask,
    Ruling,
    fills_of_orders,
    kinds_of,
    later,
    lengths,
    let_order,
    nothing,
    rule_on,
    running_from_zero,
    side_word,
    starts,
    then_fill,
)
from simcore.run import ABSENT, EndState, Ints, Objects, Run, id_at

_UNKNOWN_SIDE = "only a trade of unknown aggressor could have caused the fill"
_NO_BOOK = "no tops of book were given, and by the rules a book may fill"


def fills_have_trades(run: Run) -> Ruling:
    """Why: only a trade fills; a fill without one was caused by a quote, a timer or a wish.

    Fails: a fill at whose instant no trade crosses its limit with the right aggressor; or that
    names (``trade_seq``) a trade that does not.
    Passes: such a trade stands on the tape at the fill's own instant.
    Without orders a fill's own price stands for the limit: some trade must have been as good.
    Unknown: no tape; or only a trade of unknown side could justify it (``aggressor`` opposite); or an
    engine's profile lets the book fill, and no tops of book were given.
    By model: a trade ``at`` the limit, a ``book_cross``, a ``book_standing`` on arrival (``book_thin``
    where its best quote was smaller than the fill), a trade of the ``wrong_side``; ``touch_thin`` is a
    book that only touched the limit with less than the fill; the ``last_trade``, later than any quote, that
    stood at the limit when the order arrived.
    Source: nautechsystems/nautilus_trader#5054 (filled at midnight without data), nautilus_trader#2549.
    """
    if not len(run.orders) and "orders" not in run.read:
        return _fills_alone(run)
    rows = fills_of_orders(run)
    found = causes(run)
    broken = ~found.caused[rows] & ~found.perhaps[rows]

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        at = _trades_at(run, row)
        need = "at or through" if run.rules.cross == "at" else "through"
        taker = f" by a {side_word(-run.orders.side[i])} aggressor" if run.rules.aggressor == "opposite" else ""
        want = f"the instant of a trade {need} {run.orders.price_ticks[i]} ticks{taker}"
        if run.fills.trade_seq[row] != ABSENT:
            want = f"{want}, tape place {run.fills.trade_seq[row]}"
        story = f"{let_order(run, i)} {then_fill(run, row)} Yet {at}."
        because = "only a trade fills"
        if row in thin:
            because = "the best quote that stood before was smaller than the fill, and only a trade fills"
        if row in outgrew:
            because = "the quotes that touched its limit were smaller than the fill, and only a trade fills"
        return Claim("ns", int(run.fills.ns[row]), want, because, story)

    why = reasons(run)[rows]
    lacking = (why == "book_standing") & overdrawn(run, rows)
    touched = (why == "book_cross") & outgrown(run, rows)
    why[lacking], why[touched] = "book_thin", "touch_thin"
    thin = set(rows[lacking].tolist())
    outgrew = set(rows[touched].tolist())
    unseen = broken & _by_the_book(run, why)
    why[took_last_trade(run, rows)] += " last_trade"
    reason = _NO_BOOK if unseen.any() else _UNKNOWN_SIDE
    return rule_on(
        "fills", rows, broken & ~unseen, tell, undecided=found.perhaps[rows] | unseen, reason=reason, kinds=why
    )


def _by_the_book(run: Run, why: Objects) -> Mask:
    """Fills that a book may have caused which was not given: of an engine whose profile documents such fills."""
    documented = [kind for kind in np.unique(why) if f"fills_have_trades.{kind}" in run.rules.documented]
    bookless = bool(run.engine) and "quotes" not in run.read and not len(run.tops)
    may = any(f"fills_have_trades.{kind}" in run.rules.documented for kind in ("book_cross", "book_standing"))
    return np.asarray(~np.isin(why, documented) & (bookless and may), dtype=np.bool_)


def _fills_alone(run: Run) -> Ruling:
    """Fills of unknown orders: a limit is no better than the price it got, so a trade reached that price."""
    fills, why = run.fills, reasons(run)
    if run.rules.aggressor == "opposite" and (run.trades.aggressor == 0).any():
        return nothing("fills", undecided=len(fills), reason=_UNKNOWN_SIDE)

    def tell(row: int) -> Claim:
        side, price = side_word(fills.side[row]), fills.price_ticks[row]
        story = (
            f"Let some order be filled at its limit or better. {then_fill(run, row)} Then a trade at {price} ticks "
            f"or better for a {side} caused it. Yet {_trades_at(run, row)}."
        )
        return Claim("ns", int(fills.ns[row]), f"the time of a trade that reaches {price} ticks", "", story)

    broken = np.asarray(~np.isin(why, ("through", "at")))
    unseen = broken & _by_the_book(run, why)
    rows = np.arange(len(fills))
    return rule_on("fills", rows, broken & ~unseen, tell, undecided=unseen, reason=_NO_BOOK, kinds=why)


def _trades_at(run: Run, row: int) -> str:
    first = int(np.searchsorted(run.trades.ns, run.fills.ns[row], "left"))
    last = int(np.searchsorted(run.trades.ns, run.fills.ns_to[row], "right"))
    if first == last:
        return "no trade happened then"
    listed = [
        f"{run.trades.size_lots[j]} lots at {run.trades.price_ticks[j]} by {_taker(run, j)}"
        for j in range(first, min(last, first + 3))
    ]
    more = f" and {last - first - 3} more" if last - first > 3 else ""
    return f"the trades of that instant were {', '.join(listed)}{more}"


def _taker(run: Run, j: int) -> str:
    return side_word(run.trades.aggressor[j]) if run.trades.aggressor[j] else "an unknown side"


def trade_fills_an_order_once(run: Run) -> Ruling:
    """Why: a matcher that is run twice for one event fills an order twice with one trade.

    Fails: more fills of one order at one instant than trades that could have caused them; two
    fills of one order that name one trade.
    Passes: a trade fills an order at most once.
    By model: one trade ``split`` into several executions.
    Unknown: no tape, or no fills with a trade.
    Source: QuantConnect/Lean#4445 (submit scan and end-of-loop scan), c9s/bbgo#682.
    """
    found = causes(run)
    rows = np.flatnonzero(found.caused | found.perhaps)
    fills = run.fills
    trades = np.bincount(found.fill, minlength=len(fills))
    beyond = set(_beyond_their_trades(run, rows, sure_only=False))
    broken = np.isin(rows, np.array(sorted(beyond), dtype=np.int64))
    clouded = np.array(sorted(_beyond_their_trades(run, rows, sure_only=True)), dtype=np.int64)
    undecided = ~broken & np.isin(rows, clouded)

    def tell(row: int) -> Claim:
        i = int(fills.order[row])
        story = (
            f"{let_order(run, i)} {then_fill(run, row)} Yet {trades[row]} trade(s) could fill it then, and "
            "each had done so already."
        )
        return Claim(
            "order_id",
            repr(id_at(fills, row)),
            "filled once by one trade",
            f"{trades[row]} trade(s) at {fills.ns[row]} ns",
            story,
        )

    kinds = kinds_of(len(rows), split=broken)
    return rule_on("fills", rows, broken, tell, undecided=undecided, reason=_UNKNOWN_SIDE, kinds=kinds)


def _beyond_their_trades(run: Run, rows: Ints, *, sure_only: bool) -> Iterator[int]:
    """The fills for which no trade is left that their order has not spent on those listed before them."""
    if not len(rows):
        return
    found, fills = causes(run), run.fills
    moment = _moments(fills.ns[rows], fills.ns_to[rows])
    by_group = np.lexsort((rows, moment, fills.order[rows]))
    start = starts(fills.order[rows][by_group], moment[by_group])
    lone = np.bincount(found.fill[found.sure], minlength=len(fills))[rows[by_group]] > 0 if sure_only else True
    needed = (lengths(start, len(rows)) > 1) | ~np.logical_and.reduceat(np.broadcast_to(lone, len(rows)), start)
    ends = np.append(start[1:], len(rows))
    for g in np.flatnonzero(needed).tolist():
        yield from _without_trade(_trades_of(found, rows[by_group[start[g] : ends[g]]], sure_only=sure_only))


def _trades_of(found: Causes, fills: Ints, *, sure_only: bool) -> dict[int, list[int]]:
    """The trades that could, or surely could, have caused each of these fills."""
    options: dict[int, list[int]] = {}
    for k in fills.tolist():
        first, last = np.searchsorted(found.fill, (k, k + 1))
        mine = found.trade[first:last]
        options[k] = (mine[found.sure[first:last]] if sure_only else mine).tolist()
    return options


def _without_trade(options: Mapping[int, Sequence[int]]) -> Iterator[int]:
    """The fills that get none of their trades, if each trade serves one fill and the first listed are served first.

    A fill that is served stays so, but may move to another of its trades (augmenting paths, Berge 1957).
    """
    served: dict[int, int] = {}  # trade -> fill
    spent: set[int] = set()
    for fill in options:
        came: dict[int, tuple[int, int | None]] = {}  # trade -> the fill that would move to it, and from where
        queue: list[tuple[int, int | None]] = [(fill, None)]
        free: int | None = None
        for mover, held in queue:
            for trade in options[mover]:
                if trade not in came and trade not in spent:
                    came[trade] = mover, held
                    if trade not in served:
                        free = trade
                        break
                    queue.append((served[trade], trade))
            if free is not None:
                break
        if free is None:
            spent.update(came)  # nothing that can be reached from these is free, now or later
            yield fill
        while free is not None:
            served[free], free = came[free]


def trade_volume_is_not_oversold(run: Run) -> Ruling:
    """Why: volume that was traded once can be had once; a back-test that spends it twice is rich.

    Fails: (``trade``) an order gets more than the trades of the instant that crossed it; (``shared``)
    own orders together get more than the trades that could fill any of them.
    Passes: up to exactly that volume.
    By model: volume that is ``reused``, no fill being more than its own trades; a trade ``through`` the
    limit, which may fill all of an order.
    Unknown: no tape, or no fills with a trade.
    Source: nautechsystems/nautilus_trader#2564, betcode-org/flumine#538, flumine ff39c64.
    """
    found = causes(run)
    rows = np.flatnonzero(found.caused | found.perhaps)
    over: dict[int, tuple[int, int]] = {}
    clouded: set[int] = set()
    for group in _suspects(run, rows):
        for k, got, volume in _oversold(run, group, sure_only=False):
            over.setdefault(k, (got, volume))
        clouded.update(k for k, _, _ in _oversold(run, group, sure_only=True))
    broken = np.isin(rows, np.array(list(over), dtype=np.int64))
    wide = run.fills.ns[rows] != run.fills.ns_to[rows]
    undecided = (np.isin(rows, np.array(list(clouded), dtype=np.int64)) | wide) & ~broken

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        got, volume = over[row]
        story = (
            f"{let_order(run, i)} {then_fill(run, row)} That makes {got} lots of ours from trades that could "
            f"fill them. Yet these traded {volume} lots."
        )
        return Claim(
            "size_lots",
            int(run.fills.size_lots[row]),
            f"at most {max(volume - got + int(run.fills.size_lots[row]), 0)}",
            f"{volume} lots traded at {run.fills.ns[row]} ns",
            story,
        )

    reason = "the time of a fill is only an interval" if wide.any() else _UNKNOWN_SIDE
    kinds = kinds_of(len(rows), reused=_within_own(run, rows), through=reasons(run)[rows] == "through")
    return rule_on("fills", rows, broken, tell, undecided=undecided, reason=reason, kinds=kinds)


def _within_own(run: Run, rows: Ints) -> Mask:
    """Fills no larger than the trades that could cause them, taken by themselves."""
    found = causes(run)
    volume = np.zeros(len(run.fills), dtype=np.object_)
    np.add.at(volume, found.fill, run.trades.size_lots[found.trade].astype(np.object_))
    return np.asarray(run.fills.size_lots[rows] <= volume[rows], dtype=np.bool_)


def _suspects(run: Run, rows: Ints) -> list[Ints]:
    """Groups of fills that share an instant (and, if sized by ``trade``, the order) and may be too many.

    A group whose sum fits into its smallest possible trade cannot be; that is nearly all of them.
    """
    if not len(rows):
        return []
    found = causes(run)
    fills = run.fills
    smallest = np.full(len(fills), np.iinfo(np.int64).max)
    # a trade that is only perhaps ours may give nothing, so its fills are looked at
    np.minimum.at(smallest, found.fill, np.where(found.sure, run.trades.size_lots[found.trade], 0))
    moment = _moments(fills.ns[rows], fills.ns_to[rows])
    parts = [moment] if run.rules.sizing == "shared" else [fills.order[rows], moment]
    by_group = np.lexsort(tuple(parts))
    start = starts(*np.column_stack(parts)[by_group].T)
    sums = running_from_zero(fills.size_lots[rows][by_group])
    size = sums[np.append(start[1:], len(rows))] - sums[start]
    least = np.minimum.reduceat(smallest[rows][by_group], start)
    groups = np.split(rows[by_group], start[1:])
    return [groups[g] for g in np.flatnonzero(size > least)]


def _moments(ns: Ints, ns_to: Ints) -> Ints:
    """A number for each group of fills whose times touch: those of one instant, where times are exact."""
    by_time = np.argsort(ns, kind="stable")
    new = np.ones(len(ns), dtype=np.bool_)
    new[1:] = ns[by_time][1:] > np.maximum.accumulate(ns_to[by_time])[:-1]
    moment = np.empty(len(ns), dtype=np.int64)
    moment[by_time] = np.cumsum(new)
    return moment


def _oversold(run: Run, group: Ints, *, sure_only: bool) -> Iterator[tuple[int, int, int]]:
    """Fills of ``group`` by which some set of its fills exceeds the trades that could cause them.

    The sets that can be short are those of all fills whose trades lie in the union of one fill's
    buy trades and one fill's sell trades: limits are nested on each side (Hall's condition).
    """
    options = {k: frozenset(trades) for k, trades in _trades_of(causes(run), group, sure_only=sure_only).items()}
    unions = {a | b for a in options.values() for b in options.values()}
    gone: set[int] = set()  # without them the others may be just: who shares no trade with them is no party to it
    for union in sorted(unions, key=lambda u: (len(u), sorted(u))):
        inside = [k for k, trades in options.items() if trades <= union and k not in gone]
        volume = sum(int(run.trades.size_lots[j]) for j in union)
        got = 0
        for k in sorted(inside):
            got += int(run.fills.size_lots[k])
            if got > volume:
                gone.add(k)
                yield k, got, volume
        # with partial fills one fill is caused by one trade, so it is no larger than the largest
    for k, trades in options.items():
        if run.fills.ns[k] != run.fills.ns_to[k]:
            continue  # a row of a whole bar may stand for several fills
        largest = max((int(run.trades.size_lots[j]) for j in trades), default=0)
        if run.fills.size_lots[k] > largest:
            yield k, int(run.fills.size_lots[k]), largest


def priority_is_respected(run: Run) -> Ruling:
    """Why: an own order that jumps its own queue takes the room or the volume of the better one.

    Fails: one trade crossed two of our orders; the worse-placed one was filled, and the better one
    was passed over although cap and volume allowed it.
    Passes: the better one was filled, or could not be.
    By model: ``at_limit``, ``at_arrival``, ``at_cancel``, ``not_live``, ``rejected`` and ``volume``, as for
    crossed_orders_fill.
    Unknown: no trade crossed two of our orders; or several trades of one instant did and the fills
    do not say which (``trade_seq``).
    Source: joaquinbejar/OrderBook-rs#88, luo4neck/MatchingEngine#3, hummingbot/hummingbot#1647.
    """
    cells = crossings(run)
    contested = cells.rivals > 1
    if not contested.any():
        return nothing("orders", reason="no trade crossed two of our orders at once")
    worse = _worst_filled(cells)
    jumped = cells.rank < worse[cells.group]
    broken = contested & jumped & cells.missed & cells.alone
    undecided = contested & jumped & cells.short & ~cells.blocked & ~cells.gone & ~broken

    def tell(cell: int) -> Claim:
        i = int(cells.order[cell])
        rivals = np.flatnonzero(
            (cells.group == cells.group[cell]) & (cells.rank > cells.rank[cell]) & (cells.got_lots > 0)
        )
        w = int(cells.order[rivals[0]])
        j = int(cells.trade[cell])
        story = (
            f"{let_order(run, i)} {let_order(run, w)} Then a trade at {run.trades.ns[j]} ns at "
            f"{run.trades.price_ticks[j]} ticks crosses both, "
            f"and by {run.rules.priority} {id_at(run.orders, i)!r} comes first. Yet "
            f"{id_at(run.orders, w)!r} was filled and it was not."
        )
        return Claim(
            "order_id",
            repr(id_at(run.orders, w)),
            f"after {id_at(run.orders, i)!r}",
            f"{run.rules.priority} priority",
            story,
        )

    reason = "several trades of one instant, and no trade_seq to tell them apart"
    return _on_cells(cells, contested, broken, undecided, tell, reason, kinds=_missed_kinds(run, cells))


def _worst_filled(cells: Crossings) -> Ints:
    """For each group the rank of its worst-placed order that was filled; -1 where none was."""
    worst = np.full(int(cells.group[-1]) + 1, -1)
    filled = cells.got_lots > 0
    np.maximum.at(worst, cells.group[filled], cells.rank[filled])
    return worst


def crossed_orders_fill(run: Run) -> Ruling:
    """Why: a fill that is withheld is a lie too, and no check for illegal fills can see it.

    Fails: a trade crossed a live order, cap and volume allowed the fill, and it did not happen (or
    was too small).
    Passes: every order that a trade crossed inside its live window was filled by it.
    By model: trades only ``at_limit`` (a queue), a trade ``at_arrival`` or ``at_cancel``, at the very instant
    (of a cancel that ended the order, if the run says what did: not of a date until which it was good);
    an order ``not_live`` in the engine's own log, or ``rejected`` by it; a ``volume`` of which the order
    got a part.
    Unknown: no trade crossed a live order; or it hangs on trades of unknown aggressor, or on which
    of several trades of one instant caused which fill (``trade_seq``).
    Source: hummingbot/hummingbot#1647, nautechsystems/nautilus_trader#5017, betcode-org/flumine#847.
    """
    cells = crossings(run)
    rows = cells.leaves_lots > 0

    def tell(cell: int) -> Claim:
        i, j = int(cells.order[cell]), int(cells.trade[cell])
        got = int(cells.got_lots[cell])
        story = (
            f"{let_order(run, i)} Then a trade of {run.trades.size_lots[j]} lots at "
            f"{run.trades.price_ticks[j]} ticks crosses it at {run.trades.ns[j]} ns, "
            f"while it is live with {cells.leaves_lots[cell]} lots left, and nothing forbids the fill. Yet "
            f"{f'only {got} lots' if got else 'nothing'} was filled."
        )
        return Claim(
            "filled_lots",
            got,
            f"{cells.due_lots[cell]} at {run.trades.ns[j]} ns",
            "a trade crossed a live order",
            story,
        )

    return _on_cells(
        cells,
        rows,
        rows & cells.missed,
        rows & cells.undecided,
        tell,
        "trades of unknown aggressor, several of one instant without trade_seq, or the time of a fill an interval",
        kinds=_missed_kinds(run, cells),
    )


def _missed_kinds(run: Run, cells: Crossings) -> Objects:
    """What may explain that a cell's order was not filled."""
    ns, orders, order = run.trades.ns[cells.trade], run.orders, cells.order
    arrival_ns, _ = later(np.maximum(orders.submit_ns[order], 0), run.rules.latency_ns)
    effect_ns, _ = later(np.maximum(orders.cancel_ns[order], 0), run.rules.cancel_latency_ns)
    return kinds_of(
        len(cells),
        at_limit=~cells.through,
        at_arrival=(ns == arrival_ns) | (ns == orders.live_ns[order]),
        at_cancel=orders.is_cancelled[order]
        & (ns == effect_ns)
        & np.isin(orders.end[order], (EndState.CANCELLED, EndState.UNKNOWN)),
        not_live=~logged_live(run, cells),
        rejected=run.orders.end[cells.order] == EndState.REJECTED,
        volume=cells.got_lots > 0,
    )


def blocked_orders_end(run: Run) -> Ruling:
    """Why: an order that the cap has cancelled is gone; if it fills later, the cap was only a pause.

    Fails: under ``cap_action`` cancel, a fill of an order whose fill the cap had forbidden before.
    Passes: the cap forbade a fill, and the order never filled again.
    Unknown: the cap never surely forbade a fill.
    Source: Lumiwealth/lumibot#439 and QuantConnect/Lean#5691 (orders that outlive the refusal).
    """
    cells = crossings(run)
    ended = cells.short & (cells.got_lots == 0) & cells.blocked
    broken = cells.gone & (cells.got_lots > 0)

    def tell(cell: int) -> Claim:
        i, j = int(cells.order[cell]), int(cells.trade[cell])
        story = (
            f"{let_order(run, i)} Then the cap forbade its fill, which cancelled it. Yet it fills at "
            f"{run.trades.ns[j]} ns."
        )
        return Claim("filled_lots", int(cells.got_lots[cell]), "0", "the cap had cancelled the order", story)

    return _on_cells(
        cells,
        ended | broken,
        broken,
        cells.perhaps_gone & (cells.got_lots > 0),
        tell,
        "whether the cap forbade an earlier fill hangs on the order of events in one instant",
    )


def _on_cells(
    cells: Crossings, rows: Mask, broken: Mask, undecided: Mask, tell: object, reason: str, kinds: Objects | None = None
) -> Ruling:
    """A ruling over cells, reported at the row of their order."""
    at = np.flatnonzero(rows)
    found = np.flatnonzero(broken)
    count = int((undecided & ~broken).sum())
    judged = max(len(at) - int((rows & undecided & ~broken).sum()), 0)
    words = tell
    assert callable(words)
    named = () if kinds is None else tuple(kinds[found].tolist())
    return Ruling(
        "orders",
        judged,
        cells.order[found],
        lambda k: words(int(found[k])),
        count,
        reason if count else "",
        kinds=named,
    )

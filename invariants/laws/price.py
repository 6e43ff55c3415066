"""Price: the limit is a promise, and the trade that fills us bounds what we can get."""

from __future__ import annotations

import numpy as np

from invariants.laws.crossings import causes
from invariants.laws.justification import book_prices
from invariants.laws.ruling import Claim, Mask, Ruling, fills_of_orders, kinds_of, later, let_order, rule_on, then_fill
from simcore.run import ABSENT, Ints, Run, id_at

_UNKNOWN_SIDE = "only a trade of unknown aggressor has the price"


def fill_price_equals_limit(run: Run) -> Ruling:
    """Why: a resting quote that fills at any price but its own earns or loses what nobody offered.

    Fails: a fill one tick better, or worse, than the limit (``pricing`` limit).
    Passes: the price is the limit.
    By model: a price ``better`` than the limit; only ``on_arrival``, at the instant at which the engine
    logged the order live; or only that of the first trade of the fill's time (``at_open`` of a bar).
    A price ``slipped``: one tick worse.
    Unknown: no fills of known orders.
    Source: QuantConnect/Lean#5337, FLOX-Foundation/flox#469 (item 2).
    """
    rows = fills_of_orders(run)
    limit_ticks = run.orders.price_ticks[run.fills.order[rows]]

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        story = f"{let_order(run, i)} {then_fill(run, row)} Yet a maker trades at the price that he quoted."
        want = str(run.orders.price_ticks[i])
        return Claim(
            "price_ticks", int(run.fills.price_ticks[row]), want, f"the limit of order {id_at(run.orders, i)!r}", story
        )

    gained = run.fills.side[rows] * (limit_ticks - run.fills.price_ticks[rows])
    better = gained > 0
    arrived = run.fills.ns[rows] == _arrival_ns(run, run.fills.order[rows])
    opened = better & _opened(run, rows)
    kinds = kinds_of(len(rows), better=better, on_arrival=better & arrived, at_open=opened, slipped=gained == -1)
    return rule_on("fills", rows, gained != 0, tell, kinds=kinds)


def _arrival_ns(run: Run, order: Ints) -> Ints:
    """When the engine logged the orders live; where it did not, as the declared latency has it."""
    live_ns, submit_ns = run.orders.live_ns[order], run.orders.submit_ns[order]
    if not run.rules.declares("latency_ns"):
        return live_ns
    nominal_ns, _ = later(np.maximum(submit_ns, 0), run.rules.latency_ns)
    return np.where(live_ns == ABSENT, nominal_ns, live_ns)


def _opened(run: Run, rows: Ints) -> Mask:
    """Fills at the price of the first trade of their time; all of them where no tape can contradict."""
    if not run.has_tape:
        return np.ones(len(rows), dtype=np.bool_)
    if not len(run.trades) or not run.is_tape_ordered:
        return np.zeros(len(rows), dtype=np.bool_)
    first = np.searchsorted(run.trades.ns, run.fills.ns[rows], "left")
    at = np.minimum(first, len(run.trades) - 1)
    inside = (first < len(run.trades)) & (run.trades.ns[at] <= run.fills.ns_to[rows])
    return np.asarray(inside & (run.trades.price_ticks[at] == run.fills.price_ticks[rows]))


def fill_price_equals_trade(run: Run) -> Ruling:
    """Why: an engine that declares price improvement must give the price that was there, not another.

    Fails: under ``pricing`` improve, a fill at a price at which no trade of its instant could fill it.
    Passes: the price is that of a trade that crossed the order at that instant.
    Unknown: no fill has a trade at its instant (``fills_have_trades`` says so).
    Source: fastquant#384 (a price of another instant), nkaz001/hftbacktest#308.
    """
    found = causes(run)
    surely, perhaps = found.any_of(run.trades.price_ticks[found.trade] == run.fills.price_ticks[found.fill])
    rows = np.flatnonzero(found.caused | found.perhaps)

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        prices = sorted(set(run.trades.price_ticks[found.trades_of(row)].tolist()))
        want = " or ".join(map(str, prices[:5]))
        story = f"{let_order(run, i)} {then_fill(run, row)} Yet the trades that could cause it were at {want} ticks."
        return Claim("price_ticks", int(run.fills.price_ticks[row]), want, "the price of the trade", story)

    broken = ~surely & ~perhaps
    return rule_on("fills", rows, broken[rows], tell, undecided=perhaps[rows], reason=_UNKNOWN_SIDE)


def fill_respects_limit(run: Run) -> Ruling:
    """Why: a limit order never trades beyond its limit, and nobody trades better than the tape did.

    Fails: a buy above its limit; a buy below the price of the trade that filled it. Sells mirrored.
    Passes: a price from the trade's to the limit, both included.
    By model: a ``book_price``: better than any trade, but the book had it; ``slipped``: one tick beyond
    the limit, and no more.
    Unknown: no fills of known orders. The bound by the trade needs a tape; where ``cross`` or
    ``aggressor`` is undeclared, any trade at the instant that reaches the limit is taken for it.
    Source: nautechsystems/nautilus_trader#1733, geseq/orderbook#25, mementum/backtrader#415.
    """
    fills, orders = run.fills, run.orders
    rows = fills_of_orders(run)
    side = fills.side[rows]
    beyond = side * (fills.price_ticks[rows] - orders.price_ticks[fills.order[rows]]) > 0
    too_good = perhaps = np.zeros(len(fills), dtype=np.bool_)
    if run.has_tape and run.is_tape_ordered:
        found = causes(run)
        reachable = fills.side[found.fill] * (fills.price_ticks[found.fill] - run.trades.price_ticks[found.trade]) >= 0
        surely, perhaps = found.any_of(reachable)
        too_good = (found.caused | found.perhaps) & ~surely & ~perhaps

    def tell(row: int) -> Claim:
        i = int(fills.order[row])
        buy = fills.side[row] > 0
        got = int(fills.price_ticks[row])
        if int(fills.side[row]) * (got - int(orders.price_ticks[i])) > 0:
            want = f"at {'most' if buy else 'least'} {orders.price_ticks[i]}"
            return Claim(
                "price_ticks",
                got,
                want,
                f"the limit of order {id_at(orders, i)!r}",
                f"{let_order(run, i)} {then_fill(run, row)} Yet that is beyond its limit.",
            )
        prices = run.trades.price_ticks[causes(run).trades_of(row)]
        best = int(prices.min() if buy else prices.max())
        want = f"at {'least' if buy else 'most'} {best}"
        return Claim(
            "price_ticks",
            got,
            want,
            "the best trade at its instant",
            f"{let_order(run, i)} {then_fill(run, row)} Yet the trades that could cause it reached only {best} ticks.",
        )

    broken = beyond | too_good[rows]
    lost = side * (fills.price_ticks[rows] - orders.price_ticks[fills.order[rows]])
    kinds = kinds_of(len(rows), book_price=~beyond & _quoted(run, rows), slipped=lost == 1)
    return rule_on("fills", rows, broken, tell, undecided=perhaps[rows] & ~broken, reason=_UNKNOWN_SIDE, kinds=kinds)


def _quoted(run: Run, rows: Ints) -> Mask:
    """Fills whose price the opposite side of the book quoted, or bettered, at their time or just before."""
    during, standing = book_prices(run, rows)
    return np.minimum(during, standing) <= run.fills.side[rows] * run.fills.price_ticks[rows]

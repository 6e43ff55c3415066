"""Accounting: identities between what was reported and what the fills add up to, exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from functools import partial

import numpy as np

from invariants.laws.integrity import rejected_rows
from invariants.laws.ruling import (
    Claim,
    Mask,
    Ruling,
    is_evidence,
    kinds_of,
    let_order,
    nothing,
    rule_on,
    then_fill,
    total,
)
from invariants.laws.totals import Figure, reported_figure
from simcore.ledger import fee_of
from simcore.run import ABSENT, ENDS, EndState, Ints, Objects, Run
from simcore.units import EXACT

Exact = Ints | Objects


def orders_are_conserved(run: Run) -> Iterator[Ruling]:
    """Why: an order that vanishes takes its risk out of the books, not out of the market.

    Fails: an end state that the fills contradict (filled with lots left, cancelled with none left,
    rejected with fills, a fill after the end); counts of ends that do not add up to the submits; a cancel of nothing.
    Passes: submitted = filled + cancelled + expired + rejected + still open, and every row agrees.
    Unknown: some orders have no end state.
    Source: nautechsystems/nautilus_trader#4062 (commands lost at shutdown), pgellert/matching-engine#2.
    """
    ended = _ended(run)
    counted = [name for name in ENDS if f"orders_{name}" in run.reported]
    lost = [r for r in run.rejected if r.broken_law == "orders_are_conserved"]
    if not ended.any() and not counted and not lost:
        yield nothing("orders", not_applicable="no end of an order was reported")
        return
    yield from rejected_rows(run, "orders_are_conserved")
    if ended.any():
        yield _ends(run, ended)
    ends = run.ends if counted else {}
    count = sum(ends.values())
    for name in counted:
        figure = Figure(f"orders_{name}", run.reported[f"orders_{name}"])
        yield (
            figure.against(ends.get(name, 0), "counted from the rows")
            if count and count == sum(ends.get(end, 0) for end in ENDS)
            else nothing("reported", undecided=1, reason="orders without an end state")
        )
    submits = run.reported.get("submits", Decimal(count) if count else None)
    if len(counted) == len(ENDS) and submits is not None:
        yield Figure("submits", submits).against(sum(run.reported[f"orders_{n}"] for n in ENDS), "sum of the ends")


def _ends(run: Run, ended: Mask) -> Ruling:
    orders, fills = run.orders, run.fills
    rows = np.flatnonzero(ended)
    known = fills.order >= 0
    filled = _sums_of(fills.size_lots[known], fills.order[known], len(orders))
    left = orders.size_lots - filled
    says_filled = orders.end == EndState.FILLED
    broken = np.where(says_filled, left != 0, left == 0) | ((orders.end == EndState.REJECTED) & (filled != 0))
    late = np.zeros(len(orders), np.bool_)
    if is_evidence(run, "end_ns"):
        order = fills.order[known]
        end_ns = orders.end_ns[order]
        late[order[(end_ns != ABSENT) & (fills.ns[known] > end_ns)]] = True

    def tell(i: int) -> Claim:
        ended_as = EndState(orders.end[i]).word
        if late[i] and not broken[i]:
            last_ns = int(fills.ns[fills.order == i].max())
            story = (
                f"{let_order(run, i)} Then it fills at {last_ns} ns. Yet the run says that it ended "
                f"{ended_as} at {orders.end_ns[i]} ns, before that."
            )
            return Claim("end_ns", int(orders.end_ns[i]), f"at least {last_ns}", "its last fill", story)
        want = (
            "filled"
            if left[i] == 0
            else "an end with lots left"
            if not filled[i]
            else "an end of a partly filled order"
        )
        story = (
            f"{let_order(run, i)} Then its fills add up to {filled[i]} lots, which leaves {left[i]}. Yet the "
            f"run says that it ended {ended_as}."
        )
        return Claim("end", ended_as, want, f"{left[i]} of {orders.size_lots[i]} lots are left", story)

    return rule_on(
        "orders",
        rows,
        (broken | late)[rows].astype(np.bool_),
        tell,
        undecided=int((~ended).sum()),
        reason="orders without an end state",
    )


def _sums_of(sizes: Ints, order: Ints, orders: int) -> Exact:
    """For each order the sum of these sizes of its fills, exact."""
    fits = float(np.abs(sizes.astype(np.float64)).sum()) < 2.0**61  # and so does what it leaves of an order
    sums: Exact = np.zeros(orders, np.int64) if fits else np.zeros(orders, np.object_)
    np.add.at(sums, order, sizes if fits else sizes.astype(np.object_))
    return sums


def cash_sums_fills(run: Run) -> Iterator[Ruling]:
    """Why: cash that is not the sum of what was paid is money made by the ledger.

    Fails: reported cash other than initial cash less signed notional less fees.
    Passes: equal, to the digits printed.
    Unknown: the fees of the fills are neither given nor declared.
    Source: nautechsystems/nautilus_trader#725 (commission deducted twice), nautilus RELEASES 1.192.0.
    """
    cash = reported_figure(run, "cash")
    if cash is None:
        yield nothing("reported", not_applicable="no cash was reported")
        return
    fees = _fees(run)
    if fees is None:
        yield nothing("reported", undecided=1, reason=_NO_FEES)
        return
    yield cash.against(_cash(run, fees), "initial cash - signed notional - fees")


def fees_follow_schedule(run: Run) -> Iterator[Ruling]:
    """Why: a fee that is charged twice, not at all, or with the wrong sign decides thin strategies.

    Fails: a fill's fee other than ``fee_rate`` times its notional; a reported total that is not their sum.
    Passes: equal, exactly (a negative rate is a rebate).
    By model: a fee that was ``rounded`` to the digits in which it is printed.
    Unknown: the rate undeclared.
    Source: FLOX-Foundation/flox#469 (item 3), nautechsystems/nautilus_trader#436, rodrigo-brito/ninjabot#287.
    """
    rows = np.flatnonzero([fee is not None for fee in run.fills.fee])
    reported = reported_figure(run, "fees")
    if not len(rows) and reported is None:
        yield nothing("fills", not_applicable="no fee was reported")
        return
    if not run.rules.declares("fee_rate"):
        if reported is not None and len(rows) == len(run.fills) and len(rows):
            with localcontext(EXACT):
                paid = run.instrument.notional(sum(run.fills.fee.tolist(), Decimal(0)))
            yield reported.against(paid, "sum of the fees of the fills")
        yield nothing("fills", undecided=len(rows) or 1, reason="fee_rate is undeclared")
        return
    fills, rate = run.fills, run.rules.fee_rate

    def tell(row: int) -> Claim:
        (want,) = _due(run, [row])
        story = (
            f"Let the fee be {rate} of the notional. {then_fill(run, row)} Then its fee is {want} tick-lots. "
            f"Yet it is {fills.fee[row]}."
        )
        return Claim("fee", str(fills.fee[row]), str(want), f"{rate} of the notional", story)

    def held(holds: Callable[[Decimal, Decimal], bool], rows: Ints) -> list[bool]:
        return [holds(fee, due) for fee, due in zip(fills.fee[rows], _due(run, rows), strict=True)]

    broken = ~np.array(held(_agrees, rows), dtype=np.bool_)
    near = broken.copy()
    near[broken] = held(partial(_rounds_to, run), rows[broken])
    yield rule_on("fills", rows, broken, tell, kinds=kinds_of(len(rows), rounded=near))
    if reported is not None and not run.has_fills:
        yield nothing("reported", undecided=1, reason="no fills were given")
    elif reported is not None:
        exact = run.instrument.notional(sum(_due(run), Decimal(0)))
        yield reported.against(exact, "fee_rate times notional, summed over the fills")


def pnl_reconciles(run: Run) -> Iterator[Ruling]:
    """Why: profit is cash and position, and nothing else; what does not reconcile was invented.

    Fails: reported pnl other than the final cash and position at the mark, less the initial ones.
    Passes: equal, to the digits printed; also through flips of the position.
    Unknown: no mark price was reported for a position that is not flat.
    Source: nautechsystems/nautilus_trader#1083 (flip overstated), FLOX-Foundation/flox#476.
    """
    pnl = reported_figure(run, "pnl")
    if pnl is None:
        yield nothing("reported", not_applicable="no pnl was reported")
        return
    fees = _fees(run)
    before_lots = run.rules.initial_position_lots
    after_lots = before_lots + total(run.fills.side * run.fills.size_lots)
    mark, first = run.reported.get("mark_price"), run.reported.get("initial_mark_price")
    if fees is None or (after_lots and mark is None) or (before_lots and first is None):
        missing = _NO_FEES if fees is None else "a mark price for the position"
        yield nothing("reported", undecided=1, reason=f"missing: {missing}")
        return
    with localcontext(EXACT):
        start = reported_cash(run) + run.instrument.size(before_lots) * (first or 0)
        end = _cash(run, fees) + run.instrument.size(after_lots) * (mark or 0)
        yield pnl.against(end - start, "final cash and position at the mark, less the initial ones")


_NO_FEES = "fills, with fees or a declared fee_rate"


def reported_cash(run: Run) -> Decimal:
    """The initial cash, zero where the run reports none."""
    return run.reported.get("initial_cash", Decimal(0))


def _cash(run: Run, fees: Decimal) -> Decimal:
    """Final cash in currency: initial cash less signed notional less fees (given in tick-lots)."""
    fills = run.fills
    sizes: Ints | Objects = fills.side * fills.size_lots
    if float(np.abs(sizes.astype(np.float64) * fills.price_ticks).sum()) >= _HUGE:
        sizes = sizes.astype(np.object_)
    spent = int((sizes * fills.price_ticks).sum())
    with localcontext(EXACT):
        return reported_cash(run) - run.instrument.notional(spent + fees)


def _fees(run: Run) -> Decimal | None:
    """Sum of the fees in tick-lots: as the fills give them, else by the declared rate; None without."""
    fills = run.fills
    if not run.has_fills:
        return None
    given = all(fee is not None for fee in fills.fee)
    if not given and not run.rules.declares("fee_rate"):
        return None
    with localcontext(EXACT):
        if not given:
            return sum(_due(run), Decimal(0))
        # a float's text stands for the fee that it was meant to be, where it is that fee
        pairs = zip(fills.fee, _due(run), strict=True)
        return sum((due if _agrees(fee, due) else fee for fee, due in pairs), Decimal(0))


def _due(run: Run, rows: Ints | list[int] | slice = slice(None)) -> Iterator[Decimal]:
    """The fees of these fills by the declared rate, in tick-lots."""
    prices, sizes = run.fills.price_ticks[rows], run.fills.size_lots[rows]
    for begin in range(0, len(prices), _AT_ONCE):  # Python's integers take far more room than columns
        some = slice(begin, begin + _AT_ONCE)
        for price, size in zip(prices[some].tolist(), sizes[some].tolist(), strict=True):
            yield fee_of(price, size, run.rules.fee_rate)


_AT_ONCE = 2**14
_HUGE = 2.0**62
"""Sums that int64 might not hold."""


def _agrees(fee: Decimal, due: Decimal) -> bool:
    """Whether they are equal; a fee of more than 15 digits, a binary float's text, is held to 15."""
    if fee == due:
        return True
    return len(fee.as_tuple().digits) > _FLOAT_DIGITS and _FLOAT.plus(fee) == _FLOAT.plus(due)


def _rounds_to(run: Run, fee: Decimal, due: Decimal) -> bool:
    """Whether the fee, in currency, is the due one to half a unit of its last digit."""
    with localcontext(EXACT):
        paid, owed = run.instrument.notional(fee), run.instrument.notional(due)
        exponent = paid.normalize().as_tuple().exponent
        return isinstance(exponent, int) and abs(paid - owed) <= Decimal(5).scaleb(min(exponent, 0) - 1)


_FLOAT_DIGITS = 15
_FLOAT = Context(prec=_FLOAT_DIGITS)


def run_is_complete(run: Run) -> Iterator[Ruling]:
    """Why: a run that stops early, or dies, reports the good half.

    Fails: the last event lies before the declared end; an exit code other than 0; an order without
    an end state in a run that gives them.
    Passes: the end was reached, the engine exited cleanly, every order has an end.
    Unknown: no end was declared: a clean exit does not say how far the run came.
    Source: nkaz001/hftbacktest#312 (run aborts mid-way), nautechsystems/nautilus_trader#4062.
    """
    ended = _ended(run)
    if run.end_ns is None:
        told = ended.any() or run.exit_code is not None
        yield nothing("run", undecided=1, reason=_NO_END) if told else nothing("run", not_applicable=_NO_END)
    if run.end_ns is not None:
        yield _reached(run, run.end_ns)
    if run.exit_code is not None:
        story = f"Let the engine finish. Then it exits with 0. Yet it exited with {run.exit_code}."
        yield _one(Claim("exit_code", run.exit_code, "0", "", story), broken=run.exit_code != 0)
    if ended.any():
        rows = np.arange(len(run.orders))

        def tell(i: int) -> Claim:
            return Claim(
                "end",
                EndState(run.orders.end[i]).word,
                f"one of {', '.join(ENDS)}",
                "every order has an end",
                f"{let_order(run, i)} Then it was filled, cancelled, expired, rejected, or is open. Yet the "
                "run does not say which.",
            )

        yield rule_on("orders", rows, ~ended, tell)


def _reached(run: Run, end_ns: int) -> Ruling:
    """Whether the run's last event lies at its declared end; a quiet run without a tape may have ended anywhere."""
    last_ns = _last_event_ns(run)
    if last_ns < end_ns and run.last_event_ns is None and not run.has_tape:
        return nothing("run", undecided=1, reason="last_event_ns was not declared, and there is no tape to tell")
    story = (
        f"Let the run end at {end_ns} ns, as it declares. Then something is recorded up to there. "
        f"Yet its last event is at {last_ns} ns."
    )
    claim = Claim("last_event_ns", last_ns, f"at least {end_ns}", "the declared end", story)
    return _one(claim, broken=last_ns < end_ns)


def _one(claim: Claim, *, broken: bool) -> Ruling:
    found = np.zeros(1, np.int64) if broken else np.empty(0, np.int64)
    return Ruling("run", 1, found, lambda _: claim)


def _ended(run: Run) -> Mask:
    """Orders whose end state is given."""
    return np.asarray(run.orders.end != EndState.UNKNOWN)


_NO_END = "no end (end_ns) was declared"


def _last_event_ns(run: Run) -> int:
    """The last instant of which the run speaks; what the author says it is, where he says it."""
    if run.last_event_ns is not None:
        return run.last_event_ns
    columns = (
        run.trades.ns,
        run.tops.ns,
        run.fills.ns_to,
        run.positions.ns,
        run.orders.submit_ns,
        run.orders.cancel_ns,
        run.orders.end_ns,
    )
    return max((int(c.max()) for c in columns if len(c)), default=ABSENT)
